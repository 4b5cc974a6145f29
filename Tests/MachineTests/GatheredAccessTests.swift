import HostSystem
import Machine
import Testing

@Suite struct GatheredAccessTests {
  /// Sizes of buffers, and of the accesses that become of them.
  static let cases: [(buffers: [Int], gathered: [Int])] = [
    ([4096], [4096]), ([512, 4096, 512], [5120]), ([], []),
    ([Int](repeating: 4096, count: 300), [1 << 20, 44 * 4096]),
    ([1 << 20, 512], [1 << 20, 512]), ([512, 1 << 20, 512], [512, 1 << 20, 512]),
    ([3 << 20, 512, 512], [3 << 20, 1024]), ([512, 512, 65536, 512], [1024, 65536, 512]),
  ]

  @Test(arguments: cases, [true, false])
  func bytesArriveWhereTheyBelong(buffers: (buffers: [Int], gathered: [Int]), gathers: Bool) throws {
    let total = buffers.buffers.reduce(0, +)
    let disk = (0..<total + 512).map { UInt8(truncatingIfNeeded: $0 / 512 &* 7 &+ $0) }
    let targets = buffers.buffers.map { UnsafeMutableRawBufferPointer.allocate(byteCount: $0, alignment: 8) }
    defer { for target in targets { target.deallocate() } }
    var accesses: [Int] = []
    try GatheredAccess.read(at: 512, into: targets, gathers: gathers) { (offset, buffer) throws(Errno) in
      accesses.append(buffer.count)
      buffer.copyBytes(from: disk[Int(offset)..<Int(offset) + buffer.count])
    }
    #expect(accesses == (gathers ? buffers.gathered : buffers.buffers))
    let isRead = targets.flatMap { Array($0) } == Array(disk[512...])
    #expect(isRead)
    var written = [UInt8](repeating: 0, count: disk.count)
    accesses = []
    try GatheredAccess.write(
      at: 512, from: targets.map { UnsafeRawBufferPointer($0) }, gathers: gathers
    ) { (offset, buffer) throws(Errno) in
      accesses.append(buffer.count)
      written.replaceSubrange(Int(offset)..<Int(offset) + buffer.count, with: buffer)
    }
    #expect(accesses == (gathers ? buffers.gathered : buffers.buffers))
    let isWritten = written[512...] == disk[512...]
    #expect(isWritten)
  }

  @Test func aFailureEndsIt() {
    var count = 0
    let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 3 << 20, alignment: 8)
    defer { room.deallocate() }
    let targets = (0..<3).map { UnsafeMutableRawBufferPointer(rebasing: room[($0 << 20)..<(($0 + 1) << 20)]) }
    #expect(throws: Errno.io) {
      try GatheredAccess.read(at: 0, into: targets, gathers: true) { (_, _) throws(Errno) in
        count += 1
        if count == 2 { throw .io }
      }
    }
    #expect(count == 2)
  }
}
