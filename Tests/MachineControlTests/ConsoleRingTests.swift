import HostSystem
import MachineControl
import Testing

@Suite struct ConsoleRingTests {
  /// Byte number n of the output, which repeats nowhere at a distance of the ring's size.
  private func byte(_ number: Int) -> UInt8 { UInt8(truncatingIfNeeded: (number &* 0x9E37_79B1) >> 15) }
  private func output(_ range: Range<Int>) -> [UInt8] { range.map(byte) }

  @Test func readsBackWhatWasWritten() throws {
    let file = try Descriptor.memory(name: "ring")
    #expect(try ConsoleRing.read(last: 10, from: file) == .init())
    var writer = try ConsoleRingWriter(file)
    #expect(try ConsoleRing.read(last: 10, from: file) == .init())
    try writer.append(Array("hello ".utf8))
    try writer.append(Array("world".utf8))
    #expect(try ConsoleRing.read(last: 5, from: file) == .init(end: 11, bytes: Array("world".utf8)))
    #expect(try ConsoleRing.read(last: 0, from: file) == .init(end: 11, bytes: []))
    #expect(try ConsoleRing.read(last: -1, from: file) == .init(end: 11, bytes: []))
    #expect(try ConsoleRing.read(last: .max, from: file) == .init(end: 11, bytes: Array("hello world".utf8)))
  }

  /// The file's bytes, written by hand from the format's description.
  @Test func keepsItsBytes() throws {
    let file = try Descriptor.memory(name: "ring")
    var writer = try ConsoleRingWriter(file)
    try writer.append([0xaa, 0xbb])
    let bytes = try file.read(1 << 20, at: 0)
    #expect(bytes.count == 64 + 256 * 1024)
    #expect(
      Array(bytes[..<66])
        == Array("VOLRING1".utf8) + [0, 0, 4, 0, 0, 0, 0, 0] + [2, 0, 0, 0, 0, 0, 0, 0]
        + [UInt8](repeating: 0, count: 40) + [0xaa, 0xbb])
  }

  /// In pieces of all sizes, several times around, by one writer after the other.
  @Test(arguments: [1000, 16 << 10, (256 << 10) - 1, 256 << 10, 700_001])
  func keepsTheLast(_ piece: Int) throws {
    let file = try Descriptor.memory(name: "ring")
    var written = 0
    while written < 1_000_000 {
      var writer = try ConsoleRingWriter(file)
      for _ in 0..<10 {
        try writer.append(output(written..<written + piece))
        written += piece
        let read = try ConsoleRing.read(last: 5000, from: file)
        #expect(read.end == UInt64(written) && read.bytes == output(max(0, written - 5000)..<written))
      }
    }
    let all = try ConsoleRing.read(last: .max, from: file)
    #expect(all.end == UInt64(written))
    #expect(all.bytes == output(written - ConsoleRing.readable..<written))
    #expect(try file.size() == 64 + 256 * 1024)
  }

  /// What was written and not counted, when its writer was killed, is not taken for older output.
  @Test func aWriterMayBeKilled() throws {
    let file = try Descriptor.memory(name: "ring")
    var writer = try ConsoleRingWriter(file)
    try writer.append(output(0..<300_000))
    let header = try file.read(64, at: 0)
    try writer.append(output(300_000..<300_000 + ConsoleRing.margin))
    try file.writeAll(header[...], at: 0)
    let read = try ConsoleRing.read(last: .max, from: file)
    #expect(read == .init(end: 300_000, bytes: output(300_000 - ConsoleRing.readable..<300_000)))
  }

  /// A file that is read while it is written gives whole output, or less of it.
  @Test func isReadWhileItIsWritten() throws {
    let file = try Descriptor.memory(name: "ring")
    _ = try ConsoleRingWriter(file)
    let thread = try HostSystem.Thread.start(name: "writer") { [self] in
      guard var writer = try? ConsoleRingWriter(file) else { return }
      var written = 0
      for round in 0..<400 {
        let count = 1 + (round &* 7919) % 40_000
        try? writer.append(output(written..<written + count))
        written += count
      }
    }
    for _ in 0..<2000 {
      let read = try ConsoleRing.read(last: .max, from: file)
      let end = Int(read.end)
      #expect(read.bytes == output(end - read.bytes.count..<end))
    }
    thread.join()
  }

  @Test func survivesAnyBytes() throws {
    var generator = SeededGenerator(state: 7)
    for _ in 0..<2000 {
      let file = try Descriptor.memory(name: "ring")
      var writer = try ConsoleRingWriter(file)
      try writer.append(output(0..<Int.random(in: 0..<1000, using: &generator)))
      let bytes = (0..<Int.random(in: 1...16, using: &generator)).map { _ in
        [0, 1, 0x3f, 0x40, 0x7f, 0xff].randomElement(using: &generator) ?? UInt8.random(in: 0...255)
      }
      try file.writeAll(bytes[...], at: UInt64.random(in: 0..<30, using: &generator))
      if Bool.random(using: &generator) { try file.truncate(to: .random(in: 0..<300_000, using: &generator)) }
      let read = try ConsoleRing.read(last: .random(in: -5...400_000, using: &generator), from: file)
      #expect(read.bytes.count <= ConsoleRing.readable)
      // Whatever was there, the next machine's output is kept.
      var next = try ConsoleRingWriter(file)
      try next.append([1, 2, 3])
      #expect(try ConsoleRing.read(last: 3, from: file).bytes == [1, 2, 3])
    }
  }
}
