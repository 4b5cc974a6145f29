import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// What cannot work is told in one line that names the thing and the way out, with the exit code of
  /// its kind, and leaves nothing behind.
  @Suite(.serialized, .runsPrograms) struct RefusalTests {
    struct Case: CustomTestStringConvertible, Sendable {
      let arguments: [String]
      let code: Int32
      let words: [String]
      /// The content of the file that `FILE` among the arguments stands for.
      var file: [UInt8]?
      var testDescription: String { arguments.joined(separator: " ").prefix(60) + " (\(words[0]))" }

      init(_ arguments: String, _ code: Int32, _ words: String..., file: [UInt8]? = nil) {
        self.arguments = arguments.split(separator: " ").map(String.init)
        self.code = code
        self.words = words
        self.file = file
      }
    }

    func check(_ test: Case, _ environment: [String: String] = [:], programs: String = Bench.programs) throws
    {
      let folder = TestFolder()
      let file = try test.file.map { try folder.file("given", $0) } ?? ""
      let arguments = test.arguments.map { $0 == "FILE" ? file : $0 }
      let machine = try VolaryRun(arguments, programs: programs, environment: environment)
      let outcome = try machine.finish(within: 200)
      #expect(outcome.exit == .code(test.code))
      #expect(outcome.output == "")
      for word in test.words { #expect(outcome.errors.contains(word)) }
      // Wrong arguments are followed by the usage.
      let lines = outcome.errors.split(separator: "\n")
      let isUsage = lines.dropFirst().allSatisfy {
        $0.contains("Usage: ") || $0.contains("Help: ") || $0.contains("See ")
      }
      #expect(lines.first?.hasPrefix("volary: ") == true && isUsage, "\(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
    }

    /// What tells a PC's kernel.
    static let pcHeader =
      [UInt8](repeating: 0, count: 0x1FE) + [0x55, 0xAA, 0, 0] + Array("HdrS".utf8)
      + [UInt8](repeating: 0, count: 512)

    @Test(arguments: [
      Case("run", 2, "Name an image"),
      Case("run debian/13 --bogus", 2, "'--bogus'"),
      Case("bogus", 2, "'bogus'"),
      Case("run debian/13 --cpus 9 -- true", 2, "--cpus 9"),
      Case("run debian/13 --cpus 0 -- true", 2, "--cpus 0"),
      Case("run debian/13 --memory 1MiB -- true", 2, "--memory 1MiB", "64 MiB"),
      Case("run debian/13 --memory much -- true", 2, "much"),
      Case("run debian/13 --publish 99999:80 -- true", 2, "99999"),
      Case("run debian/13 --env novalue -- true", 2, "novalue", "NAME=VALUE"),
      Case("run no.such/image -- true", 4, "no.such/image", "volary image build"),
      Case("run Not_A_Name -- true", 2, "Not_A_Name"),
      Case("run --kernel /no/such/kernel", 4, "/no/such/kernel"),
      Case("run --kernel FILE --initrd /no/such/initrd", 4, "/no/such/initrd", file: [0]),
      Case("run debian/13 --arch sparc -- true", 2, "sparc"),
      Case("run --arch riscv64 --engine kvm --kernel FILE", 2, "--engine kvm", "riscv64", file: [0]),
      Case(
        "run --arch amd64 --engine translator --kernel FILE", 2, "amd64", "--engine kvm, or auto", file: [0]),
      Case("run --arch amd64 --cpus 65 --kernel FILE", 2, "--cpus 65", "64", file: [0]),
      Case("run --arch amd64 --virtio mmio --kernel FILE", 2, "--virtio mmio", file: [0]),
      Case("run --arch riscv64 --kernel FILE", 2, "given", "is for amd64", file: Self.pcHeader),
      Case(
        "run debian/13 --vsock /tmp/\(String(repeating: "x", count: 92)) -- true", 2, "--vsock", "96 bytes"),
      Case(
        "run --arch riscv64 --kernel FILE --vsock /no/such/folder/v", 4, "/no/such/folder/v", "No such file",
        file: [0]),
      Case("run --arch riscv64 --kernel FILE --vsock FILE", 5, "given", "already", file: [0]),
      Case("run debian/13 --firmware FILE -- true", 2, "--firmware", "--disk-image", file: [0]),
      Case("run --kernel FILE --nvram FILE", 2, "--nvram", "--disk-image", file: [0]),
      Case("run --disk-image FILE --append quiet", 2, "--append", "kernels", file: [0]),
      Case("run --disk-image FILE --arch riscv64", 2, "amd64", "--kernel", file: [0]),
      Case("run --disk-image FILE --firmware FILE", 2, "VARS for CODE", file: [0]),
      Case("run --arch riscv64 --kernel FILE --vsock /bin/true/v", 1, "/bin/true/v", file: [0]),
    ])
    func argumentsAreWrong(_ test: Case) throws { try check(test) }

    @Test(arguments: [
      Case(
        "run --network none --kernel FILE", 2, "given", "riscv64 Linux Image", file: Array("some text\n".utf8)
      ),
      Case("run --network none --kernel FILE", 2, "given", "0 bytes", file: []),
      Case(
        "run --network none --kernel FILE", 2, "given", "gzip",
        file: [0x1f, 0x8b, 8, 0] + [UInt8](repeating: 7, count: 9000)),
      Case(
        "run --network none --kernel FILE", 2, "given", "magic",
        file: [UInt8](repeating: 0x5a, count: 100_000)),
      Case("run --network none --kernel /bin/true", 2, "true", "ELF"),
      Case("run --network none --kernel /tmp", 2, "tmp", "directory"),
    ])
    func kernelIsNone(_ test: Case) throws { try check(test) }

    /// A download that was cut off, wherever.
    @Test(.boots, arguments: [5_000, 200_000, 16_000_000, -1])
    func kernelIsTruncated(_ count: Int) throws {
      let whole = try Data(contentsOf: URL(fileURLWithPath: Bench.kernel))
      let kernel = Array(whole.prefix(count < 0 ? whole.count + count : count))
      try check(Case("run --network none --kernel FILE", 2, "given", "truncated", file: kernel))
    }

    /// An image whose files were cut off, or are gone.
    @Test(
      .boots, arguments: ["kernel", "disk.raw", "image.json", "empty disk.raw", "no disk.raw", "no kernel"])
    func imageIsBroken(_ damage: String) throws {
      let folder = TestFolder()
      let image = "\(folder.path)/images/debian_13_riscv64"
      try FileManager.default.createDirectory(atPath: image, withIntermediateDirectories: true)
      let damaged = String(damage.split(separator: " ").last ?? "")
      for name in ["kernel", "initrd", "disk.raw", "image.json"] where name != damaged {
        try FileManager.default.createSymbolicLink(
          atPath: "\(image)/\(name)", withDestinationPath: "\(Bench.image)/\(name)")
      }
      if !damage.hasPrefix("no ") {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: "\(Bench.image)/\(damaged)"))
        let start = damage.hasPrefix("empty ") ? Data() : try file.read(upToCount: 1000 * 512) ?? Data()
        try start.prefix(damaged == "image.json" ? 300 : .max).write(
          to: URL(fileURLWithPath: "\(image)/\(damaged)"))
      }
      let machine = try VolaryRun(
        ["run", "--arch", "riscv64", Bench.imageName, "--network", "none", "--", "true"],
        environment: ["VOLARY_DATA": folder.path]
      )
      let outcome = try machine.finish(within: 200)
      #expect(outcome.code == 1 || outcome.code == 2 || outcome.code == 4)
      #expect(outcome.errors.isOneLine(naming: image, "image"), "\(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
    }

    @Test(arguments: ["volary-machine", "volary-nat"])
    func programIsMissing(_ name: String) throws {
      let folder = TestFolder()
      // Copied, not linked: /proc/self/exe says which folder is theirs.
      try Bench.copy(["volary", "volary-machine", "volary-nat"].filter { $0 != name }, to: folder.path)
      try check(
        Case("run --kernel FILE", 4, "\(name) is missing", "make install", file: [1]), programs: folder.path)
    }

    /// More than the host has, and more than this process may have.
    @Test(.boots) func memoryIsNotToBeHad() throws {
      try check(Case("run debian/13 --memory 1023GiB -- true", 1, "1023GiB", "--memory"))
      let limited = try ProgramRun(
        "/bin/sh", ["-c", "ulimit -v 900000; exec \"$0\" run debian/13 -- true", "\(Bench.programs)/volary"],
        environment: ["VOLARY_DATA": Bench.data])
      let outcome = try limited.finish(within: 200)
      #expect(outcome.code == 1)
      #expect(outcome.errors.isOneLine(naming: "debian/13", "--memory"), "\(outcome.errors)")
    }

    @Test(.boots) func temporaryFolderIsMissing() throws {
      try check(Case("run debian/13 -- true", 1, "/no/such/folder", "TMPDIR"), ["TMPDIR": "/no/such/folder"])
    }
  }
}

extension String {
  /// Whether this is one line of `volary`'s that holds all the words.
  func isOneLine(naming words: String...) -> Bool {
    let lines = split(separator: "\n")
    return lines.count == 1 && hasPrefix("volary: ") && words.allSatisfy { contains($0) }
  }
}
