import Foundation
import Glibc
import HostPrograms
import Testing

extension EndToEndTests {
  /// Stock kernels on a host with KVM, which QEMU plays in software: Tests/Nested.
  @Suite(.serialized, .runsPrograms)
  struct NestedTests {
    private static let program = {
      let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      return folder.appendingPathComponent("Nested/nested").path
    }()
    /// What says that the fixture lacks something that cannot be had here.
    private static let missing: Int32 = 77

    /// Runs a script on the host. Nil, with a line that says why, where the fixture cannot be made.
    func run(_ script: String, _ options: [String] = [], within seconds: Int = 1200) throws
      -> ProgramRun.Outcome?
    {
      func runOnce() throws -> ProgramRun.Outcome {
        try ProgramRun(
          Self.program,
          ["--programs", Bench.programs, "--timeout", "\(seconds)"] + options + [script]
        ).finish(within: seconds + 120)
      }
      var outcome = try runOnce()
      // QEMU's interpreter of a processor with KVM resets the whole host now and then, without a word of its kernel.
      if outcome.errors.contains("nested: the host ended too early") {
        print("NestedTests: once more, because \(outcome.errors.suffix(2000))")
        outcome = try runOnce()
      }
      guard outcome.code != Self.missing else {
        print(outcome.errors)
        return nil
      }
      return outcome
    }

    /// The lines of a script's output and its guests'; nil as for ``run(_:_:within:)``.
    func lines(_ script: String, _ options: [String] = []) throws -> [String]? {
      guard let outcome = try run(script, options) else { return nil }
      #expect(outcome.code == 0, "\(outcome.output) \(outcome.errors)")
      // What the guest's kernel says, such as that it powers down, is on the same console.
      return outcome.output.split(whereSeparator: \.isNewline).map(String.init)
        .filter { !$0.hasPrefix("[") }
    }

    /// A daemon on a host with cgroup v2 alone: a guest that never waits is held to its cap, which moves while it runs,
    /// and stays with a daemon that comes later.
    @Test func limitsAreHeld() throws {
      let folder = TestFolder()
      // A Linux image for riscv64 (Documentation/arch/riscv/boot-image-header.rst) that jumps to itself for ever.
      var image: [UInt8] = []
      func put(_ value: UInt64, _ bytes: Int) {
        image += (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
      }
      for word: UInt64 in [0x0400_006F, 0] { put(word, 4) }
      for word: UInt64 in [0x20_0000, 0x4000, 0] { put(word, 8) }
      for word: UInt64 in [2, 0] { put(word, 4) }
      put(0, 8)
      image += Array("RISCV\0\0\0".utf8)
      for word: UInt64 in [0x0543_5352, 0] { put(word, 4) }
      image += [0x6F, 0, 0, 0] + [UInt8](repeating: 0, count: 0x4000 - image.count - 4)
      let kernel = try folder.file("busy.kernel", image)
      let daemon = try strippedDaemon(folder)
      let script = """
        mount -t cgroup2 none /sys/fs/cgroup && export VOLARY_DATA=/tmp/v
        volary image import busy --arch riscv64 --kernel /kernels/busy >/dev/null
        volary doctor | grep cgroups
        volary launch busy a --arch riscv64 -n none --memory 64MiB -c limits.cpu.allowance=20ms/100ms -c limits.cpu.priority=5 2>&1
        cd /sys/fs/cgroup/volary/*-*; pwd | sed 's,.*volary/.*,group,'
        state() { volary query /1.0/instances/a/state | grep -A9 '"cgroup"' | tr -d ' \n'; echo; }
        echo held $(cat cpu.max cpu.weight memory.max) with $(wc -l <cgroup.procs)
        used() { set -- $(cat cpu.stat); echo $2; }
        share() { a=$(used); read -r s _ </proc/uptime; sleep 8; b=$(used); read -r e _ </proc/uptime
          echo "share $1 $(awk "BEGIN { print int(($b - $a) / ($e - $s) / 10000) }")"; }
        share capped; state
        volary config set a limits.cpu.allowance=50%
        echo moved $(cat cpu.max cpu.weight); share open
        kill -9 $(cat /tmp/v/volaryd.lock); sleep 1
        volary config set a limits.cpu.allowance=30ms/100ms
        echo adopted $(cat cpu.max), $(volary query /1.0/instances/a | grep -c LimitsHeld) not held; state
        # What it needs more than it may have ends it, and that is said.
        echo 8388608 >memory.max; cd /; tries=0
        until volary query /1.0/instances/a | grep -o out-of-memory || [ $tries = 100 ]; do tries=$((tries+1)); done
        echo "left $(ls -d /sys/fs/cgroup/volary/*-* 2>/dev/null | wc -l)"
        """
      let options = [
        // Images are copied with holes, which busybox's program does not know.
        "--releases", "12", "--add", "/bin/cp:/bin/cp", "--add", "\(daemon):/usr/bin/volaryd", "--add",
        "\(kernel):/kernels/busy",
      ]
      guard let outcome = try run(script, options) else { return }
      let lines = outcome.output.split(whereSeparator: \.isNewline).map {
        $0.trimmingCharacters(in: .whitespaces)
      }
      func figure(_ name: String) throws -> Int {
        let line = try #require(lines.first { $0.hasPrefix("share \(name) ") }, "\(lines) \(outcome.errors)")
        return try #require(Int(line.split(separator: " ")[2]))
      }
      #expect(lines.contains { $0.hasPrefix("ok") && $0.contains("cgroups") }, "\(lines)")
      // 64 MiB, 256 beside them and a quarter.
      #expect(lines.contains("held 20000 100000 95 352321536 with 1"), "\(lines)")
      #expect(lines.contains("moved max 100000 45"), "\(lines)")
      #expect(lines.contains("adopted 30000 100000, 0 not held"), "\(lines)")
      #expect(try (15...25).contains(figure("capped")), "\(lines)")
      #expect(try figure("open") > 40, "\(lines)")
      #expect(lines.contains("out-of-memory") && lines.contains("left 0"), "\(lines)")
    }

    /// The daemon, small enough for the host's disk.
    func strippedDaemon(_ folder: TestFolder) throws -> String {
      let path = "\(folder.path)/volaryd"
      let strip = try ProgramRun(
        "/usr/bin/strip", ["--strip-debug", "-o", path, "\(Bench.programs)/volaryd"])
      try #require(try strip.finish(within: 60).code == 0)
      return path
    }

    /// A guest under KVM says what it freed, and gives back what it is asked for.
    @Test func memoryComesBackFromKVM() throws {
      let folder = TestFolder()
      let script = """
        export VOLARY_DATA=/tmp/v
        volary image import k12 --arch amd64 --kernel /kernels/12 --initrd /kernels/12.initrd
        job='mount -t tmpfs none /tmp; dd if=/dev/zero of=/tmp/x bs=1M count=150; echo now full; read line; rm /tmp/x
          echo now gone; sleep 1000000'
        job=$(printf %s "$job" | base64 | tr -d '\\n')
        volary launch k12 b --arch amd64 -n none --memory 384MiB -c volary.engine=kvm \\
          -c "volary.append=console=ttyS0 quiet panic=-1 job=$job" 2>&1
        figure() { volary query /1.0/instances/b/state | tr -d ' ",' | sed -n "s/^$1://p" | head -1; }
        said() { volary console b --show-log | grep -q "now $1"; }
        # Whether a condition holds within so many looks.
        await() { tries=0; until "$@"; do tries=$((tries+1)); [ $tries = 300 ] && return 1; sleep 0.2; done; }
        resident() { set -- $(cat /proc/$pid/statm); echo $(($2 / 256)); }
        below() { [ $(resident) -lt $1 ]; }
        given() { [ "$(figure given)" = $1 ]; }
        pid=$(figure pid)
        await said full; full=$(resident); reported=$(figure reported)
        (echo; sleep 1000) | volary console b >/dev/null 2>&1 &
        await said gone; await below $((full - 100)); echo "freed $((full - $(resident))), reported $((($(figure reported) - reported) / 1048576))"
        volary config set b limits.memory=160MiB; await given 234881024
        echo "given $(figure given), available $(figure available)"
        volary config set b limits.memory=384MiB; await given 0; echo "given $(figure given)"
        volary stop b --force
        """
      let options = [
        "--releases", "12", "--add", "/bin/cp:/bin/cp", "--add",
        "\(try strippedDaemon(folder)):/usr/bin/volaryd",
      ]
      guard let outcome = try run(script, options) else { return }
      let output = outcome.output
      let freed = try #require(
        output.firstMatch(of: /freed ([0-9]+), reported ([0-9]+)/), "\(output) \(outcome.errors)")
      #expect(Int(freed.1) ?? 0 > 100 && Int(freed.2) ?? 0 > 100, "\(output)")
      let lowered = try #require(output.firstMatch(of: /given 234881024, available ([0-9]+)/), "\(output)")
      #expect(Int(lowered.1) ?? .max < 160 << 20, "\(output)")
      #expect(output.contains(/given 0\r?\n/), "\(output)")
    }

    /// With the doorbells, messages and all devices of a machine, on as many CPUs as it has.
    @Test(arguments: ["12", "13"]) func stockKernelBoots(release: String) throws {
      let script = """
        mkdir /www; head -c 300000 /dev/urandom >/www/file; httpd -p 127.0.0.1:8000 -h /www
        head -c 4194304 /dev/urandom >/tmp/disk; sha256sum </tmp/disk; sha256sum </www/file
        network=nat inner \(release) '
          echo "guest $(uname -m), $(nproc) CPUs, $(cat /sys/devices/system/clocksource/*/current_clocksource)"
          sha256sum </dev/vda
          head -c 32 /dev/hwrng | wc -c
          ip addr add 10.0.2.15/24 dev eth0; ip link set eth0 up
          wget -q -O - http://10.0.2.2:8000/file | sha256sum
          grep -c PCI-MSI /proc/interrupts
          echo $(for device in /sys/bus/virtio/devices/*; do basename $(readlink $device/driver); done | sort)
          dmesg | grep -v "Speculative Return Stack Overflow" |
            grep -icE "warning|oops|bug:|nobody cared|failed to assign|unable to"
        ' --cpus 2 --disk-image /tmp/disk 2>/tmp/errors
        echo "code $?"; grep -v "nothing came over the console" /tmp/errors; true
        """
      guard let lines = try lines(script, ["--releases", release, "--cpus", "2"]) else { return }
      let start = try #require(lines.firstIndex(of: "guest x86_64, 2 CPUs, kvm-clock"), "\(lines)")
      let answers = lines[start...].map { $0.trimmingCharacters(in: .whitespaces) }
      try #require(answers.count == 8, "\(lines)")
      #expect(answers[1] == lines[0], "what the disk holds")
      #expect(answers[2] == "32")
      #expect(answers[3] == lines[1], "what the host serves")
      #expect(Int(answers[4]) ?? 0 >= 10, "\(lines)")
      #expect(answers[5] == "virtio_balloon virtio_blk virtio_console virtio_net virtio_rng")
      #expect(answers[6] == "0", "complaints")
      #expect(answers[7] == "code 0")
    }

    /// The kernel moves frames (vhost-net) between a TAP device and the guest, through vectors that move to another CPU
    /// meanwhile, a driver that lets go of the device and takes it again, a restart, and wires in place of messages.
    @Test func kernelMovesFrames() throws {
      let script = """
        tunctl -t vt0 >/dev/null; ip addr add 10.77.0.1/24 dev vt0; ip link set vt0 up
        mkdir /www; head -c 3000000 /dev/urandom >/www/file; httpd -p 10.77.0.1:8000 -h /www; sha256sum </www/file
        head -c 1048576 /dev/zero >/tmp/disk
        cat >/tmp/job <<'END'
        card() { ip addr add 10.77.0.2/24 dev eth0; ip link set eth0 up; }
        fetch() { echo "$1 $(wget -q -O - http://10.77.0.1:8000/file | sha256sum)"; }
        card; fetch first
        if [ "$(head -c 5 /dev/vda)" != again ]; then
          lines=$(grep virtio.-[io] /proc/interrupts | cut -d : -f 1)
          (while true; do for cpu in 1 2; do for line in $lines; do
            echo $cpu >/proc/irq/$line/smp_affinity; done; done; done 2>/dev/null) &
          fetch moving; kill $!; wait 2>/dev/null
          device=$(basename $(readlink -f /sys/class/net/eth0/device))
          echo $device >/sys/bus/virtio/drivers/virtio_net/unbind
          echo $device >/sys/bus/virtio/drivers/virtio_net/bind
          card; fetch rebound
          printf again >/dev/vda; sync; reboot -f; sleep 9
        fi
        echo "seed $(cat /sys/kernel/boot_params/setup_data/0/type) $(ls -d /sys/bus/*/drivers/vmgenid/VLRY* | wc -l)"
        END
        (while sleep 1; do cat /proc/[0-9]*/stat 2>/dev/null | grep "(vhost-" | cut -d " " -f 15; done) >/tmp/ticks &
        network=tap=vt0 inner 13 "$(cat /tmp/job)" --cpus 2 --disk-image /tmp/disk --verbose 2>/tmp/errors
        echo "code $?"; grep -o "the kernel moves frames.*" /tmp/errors
        append=pci=nomsi network=tap=vt0 inner 13 'ip addr add 10.77.0.2/24 dev eth0; ip link set eth0 up
          echo "wire $(wget -q -O - http://10.77.0.1:8000/file | sha256sum)"' 2>/dev/null
        kill $!; echo "vhost $(sort -n /tmp/ticks | tail -n 1)"
        """
      guard let lines = try lines(script, ["--releases", "13", "--cpus", "2"]) else { return }
      let file = lines[0]
      for name in ["first", "moving", "rebound", "wire"] {
        #expect(lines.contains("\(name) \(file)"), "\(name): \(lines)")
      }
      // Before the restart and after it.
      #expect(lines.filter { $0 == "first \(file)" }.count == 2, "\(lines)")
      #expect(lines.contains("the kernel moves frames (vhost-net)") && lines.contains("code 0"), "\(lines)")
      // SETUP_RNG_SEED and the generation ID's driver, as the guest's kernel shows them.
      #expect(lines.contains("seed 0x9 1"), "\(lines)")
      let ticks = lines.first { $0.hasPrefix("vhost ") }.flatMap { Int($0.dropFirst(6)) }
      #expect(ticks ?? 0 > 0, "\(lines)")
    }

    /// From little memory (Debian 13's kernel takes 66 MiB at first) to more than fits below the devices' addresses.
    @Test func memoryIsWhatWasAskedFor() throws {
      let script = """
        for size in 80MiB 3GiB 5GiB; do
          inner 13 'awk "/MemTotal/ { print \\"has\\", int(\\$2 / 1024) }" /proc/meminfo' --memory $size 2>/dev/null
        done
        """
      guard let lines = try lines(script, ["--releases", "13", "--memory", "6144"]) else { return }
      let sizes = lines.filter { $0.hasPrefix("has ") }.compactMap { Int($0.dropFirst(4)) }
      try #require(sizes.count == 3, "\(lines)")
      for (size, asked) in zip(sizes, [80, 3072, 5120]) {
        #expect(size <= asked && size > asked - asked / 16 - 40, "\(size) of \(asked) MiB")
      }
    }

    @Test func restartsAndEndsAsTheGuestSays() throws {
      let script = """
        head -c 1048576 /dev/zero >/tmp/disk
        inner 13 'if [ "$(head -c 5 /dev/vda)" = again ]; then echo second; else
            echo first; printf again >/dev/vda; sync; reboot -f; fi; sleep 9' --disk-image /tmp/disk 2>/dev/null
        echo "restarted $?"
        inner 13 'echo c >/proc/sysrq-trigger; sleep 9' 2>/tmp/errors; echo "crashed $?"; cat /tmp/errors
        """
      guard let lines = try lines(script, ["--releases", "13"]) else { return }
      #expect(lines.filter { ["first", "second"].contains($0) } == ["first", "second"], "\(lines)")
      #expect(lines.contains("restarted 0") && lines.contains("crashed 1"), "\(lines)")
      #expect(lines.contains { $0.contains("the guest's kernel gave up (") }, "\(lines)")
    }

    /// A disk with GRUB on it, started by Debian's OVMF: variables outlast the guest's restart and the machine, and the
    /// guest switches off and restarts through the firmware. Two CPUs, and more memory than is below 4 GiB there.
    @Test(arguments: ["12", "13"]) func firmwareStartsTheDisk(release: String) throws {
      let job = """
        mount -t efivarfs none /sys/firmware/efi/efivars
        variable=/sys/firmware/efi/efivars/Volary-6f0d1b52-3c5a-4f0e-9d2b-7f5a5e6c1a90
        # Behind what the boot loader left in the line.
        echo; echo "guest $(nproc) CPUs, $(awk '/MemTotal/ { print int($2 / 1024 / 256) }' /proc/meminfo) quarters"
        if [ -e $variable ]; then tail -c 4 $variable; echo; else
          printf '\\7\\0\\0\\0word' >/bytes; dd if=/bytes of=$variable bs=8 2>/dev/null && echo written
          reboot -f; sleep 99
        fi
        dmesg | grep -v "Speculative Return Stack Overflow" |
          grep -icE "warning|oops|bug:|nobody cared|failed to assign|unable to"
        """
      let script = """
        cat /boot-disk >/tmp/disk
        run() { volary run --engine kvm --network none --disk-image /tmp/disk --nvram /tmp/nvram "$@" 2>/tmp/errors
          echo "code $?"; grep -v "nothing came over" /tmp/errors; }
        run --cpus 2 --memory 2560MiB; run
        cmp -s /tmp/nvram /usr/share/OVMF/OVMF_VARS_4M.fd || echo kept; true
        """
      let options = ["--releases", release, "--memory", "4096", "--boot-disk", job]
      guard let lines = try lines(script, options) else { return }
      let words = ["guest ", "written", "word", "code ", "0", "kept"]
      let said = lines.filter { line in words.contains { line.hasPrefix($0) } }
      #expect(
        said == [
          "guest 2 CPUs, 9 quarters", "written", "guest 2 CPUs, 9 quarters", "word", "0", "code 0",
          "guest 1 CPUs, 3 quarters", "word", "0", "code 0", "kept",
        ], "\(lines)")
    }

    /// Sockets between programs of the guest and of the host, both ways, with all bytes.
    @Test func socketsLeadBothWays() throws {
      let folder = TestFolder()
      let program = "\(folder.path)/sockets"
      // Perl without any module, so with vsock(7)'s numbers. Who echoes gives back what it got when it has got all.
      let text = """
        my ($what, $where, $port) = @ARGV; my $echoes = $what eq 'echo';
        my $isGuest = $where eq 'guest';
        my $address = $isGuest ? pack('SSLLx4', 40, 0, $port, $echoes ? 0xFFFFFFFF : 2) : pack('Sa108', 1, $where);
        socket(my $s, $isGuest ? 40 : 1, 1, 0) or die "socket: $!\\n";
        if ($echoes) {
          bind($s, $address) && listen($s, 4) or die "bind: $!\\n";
          print STDERR "listening\\n"; accept(my $c, $s) or die "accept: $!\\n";
          local $/; my $all = <$c>; print {$c} $all; close $c; exit 0;
        }
        connect($s, $address) or die "connect: $!\\n";
        if ($port && !$isGuest) {
          syswrite $s, "CONNECT $port\\n";
          for (my $byte = ''; $byte ne "\\n";) { sysread($s, $byte, 1) or die "nobody answers\\n"; }
        }
        select((select($s), $| = 1)[0]);
        local $/; my $all = <STDIN>; print {$s} $all; shutdown $s, 1; print <$s>;
        """
      try text.write(toFile: program, atomically: true, encoding: .utf8)
      let script = """
        head -c 2000000 /dev/urandom >/tmp/file; sha256sum </tmp/file
        perl /usr/bin/sockets echo /tmp/v_5000 2>/dev/null &
        inner 13 '
          PATH=$PATH:/usr/bin
          perl /usr/bin/sockets echo guest 1234 2>/listening & echo=$!
          head -c 1500000 /dev/urandom >/file
          a=$(sha256sum </file); b=$(perl /usr/bin/sockets send guest 5000 </file | sha256sum)
          [ "$a" = "$b" ] && echo to the host and back
          until [ -s /listening ]; do usleep 10000; done
          echo listening; wait $echo
        ' --vsock /tmp/v >/tmp/output 2>/tmp/errors & volary=$!
        until grep -q listening /tmp/output || [ ! -d /proc/$volary ]; do usleep 100000; done
        perl /usr/bin/sockets send /tmp/v 1234 </tmp/file | sha256sum
        wait $volary; echo "code $?"; cat /tmp/output; ls /tmp | grep -c '^v$'; true
        """
      let additions = ["--add", "--guest-add"].flatMap { [$0, "/usr/bin/perl", $0, program] }
      guard let lines = try lines(script, ["--releases", "13"] + additions) else { return }
      try #require(lines.count >= 2)
      #expect(lines[1] == lines[0], "what came back from the guest: \(lines)")
      for line in ["to the host and back", "code 0", "0"] { #expect(lines.contains(line), "\(lines)") }
    }

    /// A signal presses the power button, and the guest has its say. Its memory is in large pages, which this host
    /// lets who asks have.
    @Test func powerButtonIsPressed() throws {
      let script = """
        inner 13 'echo listening; head -c 1 /dev/input/event0 >/dev/null; echo pressed' >/tmp/output 2>/dev/null &
        while ! grep -q listening /tmp/output; do sleep 1; done
        awk '/ShmemPmdMapped/ { sum += $2 } END { print "large pages", (sum > 0) }' /proc/$(pidof volary-machine)/smaps
        kill -TERM $(pidof volary); wait $!; echo "code $?"; cat /tmp/output
        """
      guard let lines = try lines(script, ["--releases", "13"]) else { return }
      #expect(lines.contains("large pages 1"), "\(lines)")
      #expect(lines.contains("pressed") && lines.contains("code 143"), "\(lines)")
    }

    /// A job of an image's, if the store has one: built by VOLARY_IMAGE_TESTS=1, or where KVM is hardware.
    @Test(arguments: ["12", "13"]) func imageRunsJobs(release: String) throws {
      let name = "images/debian_\(release)_amd64"
      let folder = "\(Bench.data)/\(name)"
      guard FileManager.default.fileExists(atPath: folder) else {
        print("The image debian/\(release) for amd64 is left out: the store has none")
        return
      }
      let script = """
        cd /
        echo words | volary run debian/\(release) --engine kvm --cpus 2 -- sh -c 'cat; nproc; uname -m
          . /etc/os-release; echo $VERSION_ID; ip -br address show eth0; exit 7' 2>/dev/null
        echo "code $?"
        """
      let options = [
        "--cpus", "2", "--memory", "3072", "--add", "\(folder):/root/.local/share/volary/\(name)",
      ]
      guard let lines = try lines(script, options) else { return }
      try #require(lines.count == 6, "\(lines)")
      #expect(lines[0..<4] == ["words", "2", "x86_64", release])
      #expect(lines[4].contains("10.0.2.15/24"))
      #expect(lines[5] == "code 7")
    }

    /// The tests of the KVM library, on hardware's nested paging, and those of vhost-net.
    @Test func libraryPasses() throws {
      let tests = "\(Bench.programs)/volaryPackageTests.xctest"
      let script = """
        tunctl -t vt1 >/dev/null; ip addr add 10.78.0.1/24 broadcast + dev vt1; ip link set vt1 up
        cd /tmp; export VOLARY_TEST_TAP=vt1
        volaryPackageTests.xctest --testing-library swift-testing --filter KVMTests --filter KernelNetworkTests \\
          >output 2>&1
        echo "code $?"; grep -a 'Test run with' output; grep -a 'recorded an issue' output | cut -c 1-300
        """
      guard let lines = try lines(script, ["--cpus", "2", "--add", tests]) else { return }
      #expect(lines.first == "code 0", "\(lines)")
    }

    /// Who may not open the device is told the group that may.
    @Test func groupIsNamed() throws {
      let script = """
        chown root:kvm /dev/kvm; chmod 660 /dev/kvm; chmod 755 /
        su guest -c '/usr/bin/volary run --arch amd64 --network none --kernel /kernels/13 2>&1'; echo "code $?"
        rm /dev/kvm; engine=auto inner 13 true 2>&1; echo "code $?"
        """
      guard let lines = try lines(script, ["--releases", "13"]) else { return }
      try #require(lines.count == 4, "\(lines)")
      #expect(lines[0].isOneLine(naming: "group kvm", "sudo adduser guest kvm"), "\(lines)")
      #expect(lines[1] == "code 6")
      #expect(lines[2].isOneLine(naming: "there is no /dev/kvm"), "\(lines)")
      #expect(lines[3] == "code 1")
    }
  }
}
