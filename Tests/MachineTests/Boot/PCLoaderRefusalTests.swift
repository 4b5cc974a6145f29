import Foundation
import Glibc
import HostSystem
import Machine
import Testing

/// What is given as a kernel and cannot be loaded: each gets a line that names what is wrong.
@Suite(.timeLimit(.minutes(30))) struct PCLoaderRefusalTests {
  private static let elf = SampleKernel.likeLinux(megabytes: 1).elf
  private static let payload = Result { try SampleKernel.compress(elf, with: "zstd") }

  private func refusal(
    _ kernel: [UInt8], initrd: [Descriptor] = [], commandLine: String = "", size: UInt64 = 64 << 20
  ) throws -> BootError? {
    do {
      _ = try LoadedMemory(
        SampleKernel.descriptor(kernel), initrd: initrd, commandLine: commandLine, size: size)
      return nil
    } catch let error as BootError { return error }
  }

  private func image(_ change: (inout SampleKernel.Header) -> Void = { _ in }) throws -> [UInt8] {
    var header = SampleKernel.Header()
    change(&header)
    return SampleKernel.bzImage(payload: try Self.payload.get(), header: header)
  }

  // MARK: - Other files

  @Test func kernelsForOtherProcessors() throws {
    var arm = [UInt8](repeating: 0, count: 8192)
    arm.replaceSubrange(0..<2, with: Array("MZ".utf8))
    var riscv = arm
    arm.replaceSubrange(0x38..<0x3C, with: Array("ARMd".utf8))
    riscv.replaceSubrange(0x30..<0x35, with: Array("RISCV".utf8))
    riscv.replaceSubrange(0x38..<0x3C, with: Array("RSC\u{5}".utf8))
    #expect(try refusal(arm) == .notAnAMD64Kernel("an arm64 Image"))
    #expect(try refusal(riscv) == .notAnAMD64Kernel("a riscv64 Image"))
    var zboot = [UInt8](repeating: 0, count: 8192)
    zboot.replaceSubrange(0..<8, with: Array("MZ\0\0zimg".utf8))
    #expect(try refusal(zboot) == .notAnAMD64Kernel("a compressed EFI image"))
    var kernel = SampleKernel.likeLinux(megabytes: 1)
    kernel.machine = 183
    #expect(try refusal(kernel.elf) == .notAnAMD64Kernel("an ELF file for arm64"))
    kernel.machine = 243
    let compressed = try SampleKernel.compress(kernel.elf, with: "LZ4")
    #expect(
      try refusal(SampleKernel.bzImage(payload: compressed)) == .notAnAMD64Kernel("an ELF file for RISC-V"))
  }

  @Test func filesThatAreNoKernel() throws {
    #expect(try refusal([]) == .notAnAMD64Kernel("0 bytes"))
    #expect(try refusal(Array("#!/bin/sh\n".utf8)) == .notAnAMD64Kernel("10 bytes"))
    #expect(
      try refusal([UInt8](repeating: 0, count: 9000)) == .notAnAMD64Kernel("no header of a bzImage"))
    #expect(
      try refusal(try SampleKernel.compress(Self.elf, with: "gzip"))
        == .notAnAMD64Kernel("a file compressed with gzip"))
    let program = try [UInt8](Data(contentsOf: URL(fileURLWithPath: "/bin/true")))
    let wrong = try #require(try refusal(program))
    #expect(wrong.description.hasPrefix("the kernel is damaged: a segment is for address 0x0"))
  }

  @Test func riscvKernelOfTheHost() throws {
    guard let path = ProcessInfo.processInfo.environment["VOLARY_TEST_KERNEL"] else { return }
    let kernel = try Descriptor.open(path, O_RDONLY)
    #expect(throws: BootError.notAnAMD64Kernel("a riscv64 Image")) { try LoadedMemory(kernel) }
  }

  // MARK: - Headers

  @Test func headers() throws {
    #expect(try refusal(image()) == nil)
    #expect(try refusal(image { $0.version = 0x20B }) == .bootProtocolTooOld(0x20B))
    #expect(try refusal(image { $0.version = 0x20C }) == nil)
    #expect(try refusal(image { $0.loadFlags64 = 0x7E }) == .notAnAMD64Kernel("a 32-bit kernel"))
    #expect(try refusal(image { $0.loadFlags = 0 }) == .notAnAMD64Kernel("a zImage"))
    #expect(
      BootError.bootProtocolTooOld(0x20B).description.contains("boot protocol is 2.11, older than 2.12"))
  }

  @Test func commandLines() throws {
    let line = String(repeating: "a", count: 2047)
    #expect(try refusal(image(), commandLine: line) == nil)
    #expect(
      try refusal(image(), commandLine: line + "b") == .commandLineTooLong(bytes: 2048, limit: 2047))
    #expect(
      try refusal(image { $0.commandLineSize = 255 }, commandLine: String(line.prefix(256)))
        == .commandLineTooLong(bytes: 256, limit: 255))
    #expect(
      try refusal(Self.elf, commandLine: line + "b") == .commandLineTooLong(bytes: 2048, limit: 2047))
    #expect(
      try refusal(
        image { $0.commandLineSize = 0xFFFF_FFFF }, commandLine: String(repeating: "a", count: 70_000))
        == .commandLineTooLong(bytes: 70_000, limit: 65_535))
  }

  /// Cut off anywhere, a kernel is refused in a line; nothing traps.
  @Test(arguments: SampleKernel.compressors.keys.sorted() + ["nothing"])
  func truncatedFiles(compression: String) throws {
    let payload = try SampleKernel.compress(Self.elf, with: compression)
    let file = compression == "nothing" ? payload : SampleKernel.bzImage(payload: payload)
    for count in [
      0, 1, 64, 0x1F0, 0x203, 0x238, 0x250, 0x26B, 5000, 20_000, payload.count / 2, payload.count,
    ] {
      guard count < file.count, !(compression == "nothing" && count > file.count - 300_000) else { continue }
      #expect(try refusal(Array(file.prefix(count))) != nil, "cut after \(count) bytes")
    }
  }

  // MARK: - Payloads

  @Test(arguments: ["bzip2": "425A6839", "lzma": "5D000080", "LZO": "894C5A4F"])
  func compressionsThatAreNotRead(name: String, magic: String) throws {
    let start = (0..<4).map { UInt8(magic.dropFirst(2 * $0).prefix(2), radix: 16)! }
    let error = try refusal(SampleKernel.bzImage(payload: start + [UInt8](repeating: 1, count: 100)))
    #expect(error == .unsupportedCompression(name))
    #expect(try #require(error).description.contains(name))
  }

  /// A stream that is longer or shorter than it says, and one with a wrong byte.
  @Test(arguments: SampleKernel.compressors.keys.sorted())
  func streamsThatLie(compression: String) throws {
    let payload = try SampleKernel.compress(Self.elf, with: compression)
    func size(_ size: Int) -> [UInt8] {
      Array(payload.dropLast(4)) + (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
    }
    for wrong in [Self.elf.count - 1, Self.elf.count + 1, Self.elf.count / 2, 4096, 0] {
      let error = try #require(try refusal(SampleKernel.bzImage(payload: size(wrong))), "\(wrong) bytes")
      if wrong >= Self.elf.count - 1 {
        guard case .cannotDecompress(compression, _) = error else {
          Issue.record("\(wrong) bytes: \(error)")
          continue
        }
      }
    }
    // LZ4's legacy frame has no checksum; what is changed has to be its structure.
    var damaged = payload
    damaged[compression == "LZ4" ? 7 : payload.count / 2] ^= 0x55
    guard case .cannotDecompress(compression, _)? = try refusal(SampleKernel.bzImage(payload: damaged)) else {
      Issue.record("a damaged stream was taken")
      return
    }
  }

  /// Gigabytes out of kilobytes end at the machine's memory.
  @Test(arguments: SampleKernel.compressors.keys.sorted())
  func bombs(compression: String) throws {
    // An ELF file's start, so that it is unpacked at all, and zeroes.
    let head = TemporaryFile(Data(Self.elf.prefix(3 << 20)))
    let command = try #require(SampleKernel.compressors[compression])
    let bomb = try HostTool.shell(
      "{ cat \"$1\"; head -c 100000000 /dev/zero; } | \(command)", [head.path])
    let total = (3 << 20) + 100_000_000
    for size in [total, Self.elf.count] {
      let trailer = (0..<4).map { UInt8(truncatingIfNeeded: size >> (8 * $0)) }
      let payload = [UInt8](compression == "gzip" ? bomb.dropLast(4) : bomb) + trailer
      let error = try #require(try refusal(SampleKernel.bzImage(payload: payload)))
      if size == total {
        #expect(error == .kernelDoesNotFit(needed: UInt64(total), memory: 64 << 20))
      } else {
        guard case .cannotDecompress(compression, _) = error else {
          Issue.record("\(error)")
          continue
        }
      }
    }
  }

  // MARK: - Memory

  @Test func memoryTooSmall() throws {
    #expect(
      try refusal(image(), size: 16 << 20) == .kernelDoesNotFit(needed: 0x143_8000, memory: 16 << 20))
    #expect(try refusal(image(), size: 21 << 20) == nil)
    let initrd = try SampleKernel.descriptor([UInt8](repeating: 1, count: 1 << 20))
    #expect(
      try refusal(image(), initrd: [initrd], size: 21 << 20)
        == .initrdDoesNotFit(needed: 0x143_8000 + (1 << 20), memory: 21 << 20))
    let endless = try Descriptor.memory(name: "sparse")
    try endless.truncate(to: 1 << 50)
    guard case .initrdDoesNotFit? = try refusal(image(), initrd: [initrd, endless, endless]) else {
      Issue.record("an initrd of a petabyte was taken")
      return
    }
  }
}
