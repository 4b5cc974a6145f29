import HostPrograms
import Testing

/// Stock kernels that are kept, and go on, under KVM.
extension EndToEndTests.NestedTests {
  /// The script's own words: `log NAME WORD` has a machine's lines that begin with a word, `count` says how many there
  /// are, and `more NAME WORD COUNT` waits for so many more.
  private static let words = """
    mount -t cgroup2 none /sys/fs/cgroup && export VOLARY_DATA=/var/tmp/v
    log() { volary console $1 --show-log | tr -d '\\r' | grep "^$2 "; }
    count() { log $1 $2 | wc -l; }
    more() { want=$(($(count $1 $2) + $3)); tries=0
      until [ $(count $1 $2) -ge $want ] || [ $tries = 400 ]; do tries=$((tries + 1)); sleep 1; done; }
    """

  /// Whether rounds were counted without a gap but for one step back, to one that had been.
  private func wentBackOnce(_ rounds: [Int]) -> Bool {
    let back = rounds.indices.dropFirst().filter { rounds[$0] != rounds[$0 - 1] + 1 }
    return back.count == 1 && back.allSatisfy { (2...rounds[$0 - 1]).contains(rounds[$0]) }
  }

  /// A stock kernel with a disk and a card whose frames the kernel moves (vhost-net) goes back to what was kept of it,
  /// goes on after it was stopped with all that it was, and is forked, and what it reads stays what it wrote.
  @Test func aMachineIsKept() throws {
    let folder = TestFolder()
    let daemon = try strippedDaemon(folder)
    let disk = try folder.disk("disk", bytes: 64 << 20)
    let job = try folder.file(
      "job",
      Array(
        """
        ip addr add 10.77.0.2/24 dev eth0; ip link set eth0 up
        head -c 1000000 /dev/urandom >/tmp/m; sum=$(sha256sum </tmp/m); host=http://10.77.0.1:8000; n=0
        while n=$((n + 1)); do
          at=$((n % 16 * 4)); dd if=/tmp/m of=/dev/vda bs=1M seek=$at conv=fsync 2>/dev/null
          echo 3 >/proc/sys/vm/drop_caches
          read=$(dd if=/dev/vda bs=1M skip=$at count=1 2>/dev/null | head -c 1000000 | sha256sum)
          [ "$read" = "$sum" ] && disk=right || disk=wrong
          # A connection that was cut by going back is made again.
          if [ ! "$off" ]; then
            tries=0; until wget -q -T 20 -O /tmp/f $host/file || [ $tries = 3 ]; do tries=$((tries + 1)); done
            read=$(sha256sum </tmp/f); [ "$file" ] || file=$read
            [ "$read" = "$file" ] && card=right || card=wrong
            wget -q -T 20 -O /dev/null $host/off && off=yes
          else card=off; fi
          echo "round $n disk $disk card $card ${file%% *}"
        done
        """.utf8))
    let script = """
      \(Self.words)
      ip link add br0 type bridge; ip addr add 10.77.0.1/24 dev br0; ip link set br0 up
      mkdir /www; head -c 300000 /dev/urandom >/www/file; httpd -p 10.77.0.1:8000 -h /www
      volary image import stock --arch amd64 --kernel /kernels/13 --initrd /kernels/13.initrd --disk /disk >/dev/null
      volary launch stock a -n br0 --memory 256MiB -c volary.engine=kvm \\
        -c "volary.append=quiet panic=-1 job=$(echo sh /kept | base64)" 2>/errors || { cat /errors; exit 1; }
      more a round 2; echo "workers $(cat /proc/[0-9]*/comm | grep -c '^vhost-')"
      volary snapshot create a s --stateful 2>/dev/null; more a round 2
      volary snapshot restore a s --stateful 2>/dev/null; more a round 2
      volary stop a --stateful 2>/dev/null; volary start a 2>/dev/null; more a round 2
      # Two with one address would be in each other's way on the bridge.
      touch /www/off; more a round 2; volary fork a b 2>/dev/null; more a round 2; more b round 2
      for name in a b; do log $name round | sed "s/^/$name /"; done
      echo "file $(sha256sum </www/file)"; volary delete a b --force 2>/dev/null; ls $VOLARY_DATA/layers | wc -l
      """
    let options = [
      "--releases", "13", "--cpus", "2", "--add", "/bin/cp:/bin/cp", "--add", "\(daemon):/usr/bin/volaryd",
      "--add", "\(disk):/disk", "--guest-add", "\(job):/kept",
    ]
    guard let lines = try lines(script, options) else { return }
    func words(_ name: String) throws -> [String] {
      let line = try #require(lines.first { $0.hasPrefix(name + " ") }, "\(lines)")
      return line.split(separator: " ").dropFirst().map(String.init)
    }
    // NAME round NUMBER disk right card right SUM
    func rounds(_ name: String) -> [[String]] {
      lines.filter { $0.hasPrefix("\(name) round ") }.map { $0.split(separator: " ").map(String.init) }
    }
    let (a, b) = (rounds("a"), rounds("b"))
    #expect((a + b).allSatisfy { $0.count == 8 && $0[4] == "right" }, "\(lines)")
    let file = try words("file")[0]
    #expect((a + b).allSatisfy { $0[6] == "off" || $0[6] == "right" && $0[7] == file }, "\(lines)")
    #expect(a.count { $0[6] == "right" } >= 9, "\(lines)")
    #expect(try words("workers") == ["1"], "the kernel moves the frames")
    let numbers = a.compactMap { Int($0[2]) }
    #expect(wentBackOnce(numbers), "\(numbers)")
    #expect(b.count >= 2 && lines.last == "0", "\(lines)")
  }

  /// An instance that firmware starts goes back to what was kept of it, its variables included, and a copy starts with
  /// those that it had then.
  @Test func aMachineWithFirmwareIsKept() throws {
    let folder = TestFolder()
    let daemon = try strippedDaemon(folder)
    // A variable a round; behind what the boot loader left in the line.
    let job = """
      mount -t efivarfs none /sys/firmware/efi/efivars; cd /sys/firmware/efi/efivars
      count() { ls | grep -c '^Volary'; }
      echo; echo "began with $(count)"; n=$(count)
      while n=$((n + 1)); do
        name=Volary$n-6f0d1b52-3c5a-4f0e-9d2b-7f5a5e6c1a90
        printf '\\7\\0\\0\\0%04d' $n >/bytes; dd if=/bytes of=$name bs=8 2>/dev/null
        echo "round $n $(count) $(tail -c 4 $name)"; sleep 1
      done
      """
    let script = """
      \(Self.words)
      volary image import /boot-disk stock --arch amd64 >/dev/null 2>&1
      volary launch stock a -n none --memory 256MiB 2>/errors || { cat /errors; exit 1; }; more a round 2
      # Firmware does not get through each time where KVM is played, and that is another test's concern.
      [ $(count a round) -gt 0 ] || { volary restart a --force 2>/dev/null; more a round 2; }
      volary snapshot create a s --stateful 2>/dev/null; more a round 2
      volary snapshot restore a s --stateful 2>/dev/null; more a round 2
      volary stop a --stateful 2>/dev/null; volary start a 2>/dev/null; more a round 2
      volary stop a --force 2>/dev/null; log a round; volary copy a c 2>/dev/null; volary start c 2>/dev/null
      more c began 1; log c began; volary delete a c --force 2>/dev/null
      """
    let options = [
      "--releases", "13", "--cpus", "2", "--memory", "4096", "--boot-disk", job, "--add", "/bin/cp:/bin/cp",
      "--add", "\(daemon):/usr/bin/volaryd",
    ]
    guard let lines = try lines(script, options) else { return }
    let rounds = lines.filter { $0.hasPrefix("round ") }.map {
      $0.split(separator: " ").compactMap { Int($0) }
    }
    // NUMBER COUNT NUMBER
    #expect(rounds.allSatisfy { $0.count == 3 && Set($0).count == 1 }, "\(lines)")
    let numbers = rounds.compactMap(\.first)
    #expect(wentBackOnce(numbers), "\(lines)")
    let began = try #require(lines.last { $0.hasPrefix("began ") }.flatMap { Int($0.dropFirst(11)) })
    let last = try #require(numbers.last)
    #expect((last...last + 1).contains(began), "\(lines)")
  }
}
