import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// The host's disk is full: guests see errors, the person one clear line, and nothing stays behind.
  @Suite(.serialized, .runsPrograms, .mounts) struct FullDiskTests {
    @Test(.boots) func guestFillsTheHost() throws {
      let scratch = try SmallDisk("size=24m")
      let store = try SmallDisk("size=8m")
      let own = "\(store.path)/own.raw"
      try Data().write(to: URL(fileURLWithPath: own))
      try #require(truncate(own, 64 << 20) == 0)
      let machine = try VolaryRun(
        [
          "run", "--arch", "riscv64", Bench.imageName, "--network", "none", "--disk-image", own, "--", "sh",
          "-c",
          """
          dd if=/dev/zero of=/dev/vdb bs=1M conv=fsync 2>&1 | grep -c 'Input/output error'
          dd if=/dev/zero of=/big bs=1M count=100 conv=fsync 2>&1 | grep -c 'Input/output error'
          dd if=/dev/zero of=/more bs=1M count=100 conv=fsync 2>/dev/null; exit 3
          """,
        ], environment: ["TMPDIR": scratch.path])
      let outcome = try machine.finish(within: 200)
      #expect(outcome.code == 3)
      #expect(outcome.output == "1\n1\n")
      // A line a disk, however often it fails.
      let lines = outcome.errors.split(separator: "\n").map { "\($0)\n" }
      #expect(lines.count == 2, "\(outcome.errors)")
      #expect(
        lines.first?.isOneLine(naming: "debian/13", own, "No space left", "make room") == true,
        "\(outcome.errors)")
      #expect(
        lines.last?.isOneLine(naming: "debian/13", scratch.path, "No space left", "set TMPDIR") == true,
        "\(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
      #expect(Bench.eventually { scratch.usedBytes == 0 })
      #expect(store.content == ["own.raw"])
    }

    /// A limit of the person's own, which ends other programs with a signal.
    @Test(.boots) func filesMayNotGrow() throws {
      let limited = try ProgramRun(
        "/bin/sh", ["-c", "ulimit -f 50000; exec \"$0\" run debian/13 -- true", "\(Bench.programs)/volary"],
        environment: ["VOLARY_DATA": Bench.data])
      let outcome = try limited.finish(within: 200)
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: "debian/13", "ulimit -f"), "\(outcome.errors)")
    }

    /// Bytes, or files, run out at every step.
    @Test(.boots, arguments: ["size=16m"] + (1...6).map { "nr_inodes=\($0)" })
    func importHasNoRoom(_ options: String) throws {
      let store = try SmallDisk(options)
      let outcome = try runWithStore(
        store, ["image", "import", "own", "--kernel", Bench.kernel, "--initrd", Bench.initrd])
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: store.path, "VOLARY_DATA"), "\(outcome.errors)")
      #expect(Set(store.content).isSubset(of: ["images", "images/.lock"]))
    }

    /// A disk image that has no room where it goes, as a file and as an image of the store.
    @Test(arguments: ["size=8m", "nr_inodes=1", "nr_inodes=2", "nr_inodes=3", "nr_inodes=4"])
    func diskHasNoRoom(_ options: String) throws {
      let source = try SmallDisk("size=24m")
      let raw = "\(source.path)/raw"
      let bytes = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/dev/urandom")).read(
        upToCount: 20 << 20)
      try (bytes ?? Data()).write(to: URL(fileURLWithPath: raw))
      let place = try SmallDisk(options)
      if !options.hasPrefix("nr_inodes") {
        for format in ["raw", "vmdk", "vdi", "vhd", "vhdx"] {
          let outcome = try runWithStore(
            place, ["image", "convert", "-q", "-f", "raw", "-O", format, raw, "\(place.path)/target"])
          #expect(outcome.code == 1)
          #expect(outcome.errors.isOneLine(naming: place.path, "full", "make room"), "\(outcome.errors)")
          #expect(place.content.isEmpty)
        }
      }
      let outcome = try runWithStore(place, ["image", "import", "-q", "--format", "raw", raw, "own"])
      // Few files are enough for this one, when bytes are.
      if outcome.code != 0 {
        #expect(outcome.code == 1)
        #expect(outcome.errors.isOneLine(naming: place.path, "VOLARY_DATA"), "\(outcome.errors)")
        #expect(Set(place.content).isSubset(of: ["images", "images/.lock"]))
      }
    }

    @Test(arguments: ["size=64m", "size=2g,nr_inodes=2", "size=2g,nr_inodes=4"])
    func buildHasNoRoom(_ options: String) throws {
      let store = try SmallDisk(options)
      let outcome = try runWithStore(store, ["image", "build", "debian/13", "--quiet"])
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: store.path, "VOLARY_DATA"), "\(outcome.errors)")
      #expect(Set(store.content).isSubset(of: ["images", "images/.lock"]))
    }

    /// The disk fills while packages are unpacked, and while the machine configures them. Downloads Debian.
    @Test(
      .enabled(if: Bench.environment["VOLARY_IMAGE_TESTS"] != nil, "it downloads Debian"),
      arguments: ["size=2g,nr_inodes=1000", "size=1025m"])
    func buildRunsOutOfRoom(_ options: String) throws {
      let store = try SmallDisk(options)
      // With files counted, bytes are plenty; with bytes counted, another program takes them meanwhile.
      let other = try Descriptor.open("\(store.path)/other", O_RDWR | O_CREAT, mode: 0o600)
      let run = try VolaryRun(
        ["image", "build", "debian/13", "--quiet"], environment: ["VOLARY_DATA": store.path])
      if !options.contains("nr_inodes") {
        #expect(Bench.eventually { Bench.children(of: run.pid)["volary-machine"] != nil })
        #expect(posix_fallocate(other.raw, 0, Int(store.freeBytes) - (4 << 20)) == 0)
      }
      let outcome = try run.finish(within: 400)
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: store.path, "VOLARY_DATA"), "\(outcome.errors)")
      #expect(Set(store.content).isSubset(of: ["other", "images", "images/.lock"]))
      #expect(run.leftovers.isEmpty)
    }

    private func runWithStore(_ store: SmallDisk, _ arguments: [String]) throws -> ProgramRun.Outcome {
      let run = try VolaryRun(arguments, environment: ["VOLARY_DATA": store.path])
      let outcome = try run.finish(within: 200)
      #expect(run.leftovers.isEmpty)
      return outcome
    }
  }
}
