import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  @Suite(.serialized, .boots) struct DiskTests {
    /// What one machine writes to a disk of one's own, the next one reads; both file systems and bytes.
    @Test func ownDiskKeepsWhatIsWritten() throws {
      let folder = TestFolder()
      let disk = try folder.disk("own.raw", bytes: 256 << 20)
      let made = try ProgramRun("/usr/sbin/mke2fs", ["-q", "-t", "ext4", disk]).finish()
      try #require(made.exit == .code(0))
      let content = Bench.randomBytes(3_000_000)
      let writer = try VolaryRun.job(
        """
        set -e; /usr/lib/volary/busybox mount -t ext4 /dev/vdb /mnt; cat >/mnt/file; sync
        cat /sys/block/vdb/serial; sleep 1; echo b >/proc/sysrq-trigger; sleep 60
        """,
        options: ["--disk-image", disk])
      // The machine is cut off after sync: only what a flush brought down may be counted on.
      let written = try writer.finish(input: content, within: 200)
      #expect(written.output.hasPrefix("own"), "\(written.errors)")
      let checked = try ProgramRun("/usr/sbin/e2fsck", ["-fp", disk]).finish()
      #expect([0, 1].contains(checked.code), "\(checked.output)")
      let reader = try VolaryRun.job(
        "/usr/lib/volary/busybox mount -t ext4 /dev/vdb /mnt && cat /mnt/file",
        options: ["--disk-image", disk])
      #expect(try reader.finish(within: 200).outputBytes == content)
    }

    /// The disk, and the file system on it; what is new can be written and read.
    @Test func rootDiskGrows() throws {
      let machine = try VolaryRun.job(
        """
        cat /sys/block/vda/size; df -B1 --output=size / | tail -n 1
        dd if=/dev/zero of=/big bs=1M count=64 conv=fsync 2>/dev/null && stat -c %s /big
        dmesg | grep -c 'EXT4-fs error'
        """, options: ["--disk", "10GiB"])
      let outcome = try machine.finish(within: 200)
      let lines = outcome.output.split(separator: "\n").map(String.init)
      try #require(lines.count == 4, "\(outcome.output) \(outcome.errors)")
      #expect(lines[0] == "\((10 << 30) / 512)")
      // The file system's own tables take some of it.
      #expect(try #require(Int(lines[1].filter(\.isNumber))) > 9 << 30)
      #expect(lines[2...] == ["\(64 << 20)", "0"])
      #expect(machine.leftovers.isEmpty)
    }
  }
}
