import Foundation
import Glibc
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
      let run = try ProgramRun(
        Self.program,
        ["--programs", Bench.programs, "--timeout", "\(seconds)"] + options + [script])
      let outcome = try run.finish(within: seconds + 120)
      guard outcome.code != Self.missing else {
        print(outcome.errors)
        return nil
      }
      return outcome
    }

    /// The lines of a script's output and its guests'; nil as for ``run(_:_:within:)``.
    private func lines(_ script: String, _ options: [String] = []) throws -> [String]? {
      guard let outcome = try run(script, options) else { return nil }
      #expect(outcome.code == 0, "\(outcome.output) \(outcome.errors)")
      // What the guest's kernel says, such as that it powers down, is on the same console.
      return outcome.output.split(whereSeparator: \.isNewline).map(String.init)
        .filter { !$0.hasPrefix("[") }
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

    /// The tests of the KVM library, on hardware's nested paging.
    @Test func libraryPasses() throws {
      let tests = "\(Bench.programs)/volaryPackageTests.xctest"
      let script = """
        cd /tmp; volaryPackageTests.xctest --testing-library swift-testing --filter KVMTests >output 2>&1
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
