import Foundation
import Testing
import Translator

/// Generated code is never in memory that is writable and executable at once.
@Suite struct CodeArenaTests {
  /// Lines of /proc/self/maps about memory that holds generated code, and their permissions.
  private func mappings() throws -> [(range: Range<UInt>, permissions: String, name: String)] {
    let file = try #require(FileHandle(forReadingAtPath: "/proc/self/maps"))
    var text = Data()
    while let piece = try file.read(upToCount: 1 << 16), !piece.isEmpty { text += piece }
    return String(decoding: text, as: UTF8.self).split(separator: "\n").map { line in
      let fields = line.split(separator: " ", maxSplits: 5, omittingEmptySubsequences: true)
      let bounds = fields[0].split(separator: "-").map { UInt($0, radix: 16)! }
      return (bounds[0]..<bounds[1], String(fields[1]), fields.count > 5 ? String(fields[5]) : "")
    }
  }

  @Test func neverWritableAndExecutable() throws {
    let arena = try CodeArena(size: 1 << 20)
    let store = try CodeStore(architecture: GuestArchitecture(pins: ScratchCPU.pins))
    let cpu = try ScratchCPU(code: store)
    let lifter = PreparedLifter()
    for page in 0..<50 as Range<UInt64> {
      lifter.blocks[page << 12] = [
        Instruction(.add, destination: 3, a: 3, imm: 1), Instruction(.jump, imm: 0x1000),
      ]
      _ = cpu.run(page << 12, lifter: lifter)
    }
    store.invalidate(page: 3) {}
    store.removeAll()
    var all = try mappings()
    func permissions(at address: UInt) -> String? { all.first { $0.range.contains(address) }?.permissions }
    // The file is read in pieces, and may lack what is there when other tests map and unmap meanwhile.
    for _ in 0..<100
    where permissions(at: UInt(bitPattern: arena.writable)) == nil
      || permissions(at: UInt(bitPattern: arena.executable)) == nil
    {
      all = try mappings()
    }
    #expect(all.filter { $0.permissions.contains("w") && $0.permissions.contains("x") }.map(\.name) == [])

    let code = all.filter { $0.name.contains("/dev/zero") }
    #expect(code.contains { $0.permissions.hasPrefix("rw-") })
    #expect(code.contains { $0.permissions.hasPrefix("r-x") })
    #expect(permissions(at: UInt(bitPattern: arena.writable)) == "rw-s")
    #expect(permissions(at: UInt(bitPattern: arena.executable)) == "r-xs")
    arena.writable.storeBytes(of: 0x1234, as: UInt32.self)
    #expect(arena.executable.load(as: UInt32.self) == 0x1234)
    arena.discard(0..<4096)
    #expect(arena.executable.load(as: UInt32.self) == 0)
  }
}
