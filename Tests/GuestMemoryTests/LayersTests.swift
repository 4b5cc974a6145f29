import Glibc
import GuestMemory
import HostSystem
import Testing

/// Memory that is frozen, goes on and is shown in other machines, against what was written.
@Suite struct LayersTests {
  static let base: UInt64 = 0x8000_0000
  /// Not a multiple of a chunk.
  static let size = (3 << 20) + 0x5000

  struct Xorshift: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }

  /// A machine's memory beside a copy of what it should hold.
  final class Subject {
    let memory: GuestMemory
    var content: [UInt8]

    init(_ copying: GuestMemory.Copying, over layers: GuestMemory.Layers? = nil, content: [UInt8]? = nil)
      throws
    {
      memory = try GuestMemory(regions: [(base: LayersTests.base, size: LayersTests.size)], copying: copying)
      self.content = content ?? [UInt8](repeating: 0, count: LayersTests.size)
      if let layers { try memory.adopt(layers) }
    }

    func write(at offset: Int, _ bytes: [UInt8]) throws {
      let slice = try memory.slice(at: LayersTests.base + UInt64(offset), count: bytes.count)
      bytes.withUnsafeBytes { slice.copy(from: $0) }
      content.replaceSubrange(offset..<offset + bytes.count, with: bytes)
    }

    func discard(_ offset: Int, _ count: Int) throws {
      _ = try memory.discard(at: LayersTests.base + UInt64(offset), count: count)
      let first = (offset + 4095) & ~4095
      let end = (offset + count) & ~4095
      if first < end { content.replaceSubrange(first..<end, with: repeatElement(0, count: end - first)) }
    }

    var isRight: Bool {
      get throws {
        try memory.slice(at: LayersTests.base, count: LayersTests.size).withBytes { bytes in
          content.withUnsafeBytes { memcmp(bytes.baseAddress!, $0.baseAddress!, LayersTests.size) == 0 }
        }
      }
    }
  }

  static func step(_ subject: Subject, using generator: inout Xorshift) throws {
    let offset = Int.random(in: 0..<size, using: &generator)
    let most = min(size - offset, generator.next() % 4 == 0 ? 300_000 : 9000)
    let count = Int.random(in: 1...most, using: &generator)
    if generator.next() % 5 == 0 { return try subject.discard(offset, count) }
    let value = UInt8(truncatingIfNeeded: generator.next())
    try subject.write(at: offset, (0..<count).map { value &+ UInt8(truncatingIfNeeded: $0) })
  }

  @Test(arguments: [GuestMemory.Copying.byRequest, .byKernel], [1, 2, 3] as [UInt64])
  func forksSeeTheirOwn(copying: GuestMemory.Copying, seed: UInt64) throws {
    var generator = Xorshift(state: seed &* 0x9E37_79B9_7F4A_7C15)
    var family = [try Subject(copying)]
    for _ in 0..<60 {
      let subject = family[Int.random(in: 0..<family.count, using: &generator)]
      for _ in 0..<Int.random(in: 0...6, using: &generator) { try Self.step(subject, using: &generator) }
      if generator.next() % 3 == 0 {
        let layers = try subject.memory.freeze()
        #expect(layers.files.count <= GuestMemory.Layers.most)
        #expect(try subject.isRight)
        if family.count == 5 { family.remove(at: Int.random(in: 0..<5, using: &generator)) }
        family.append(try Subject(copying, over: layers, content: subject.content))
      }
      for subject in family { #expect(try subject.isRight) }
    }
  }

  /// What is only read stays shared: the memory file of a fork holds the chunks it wrote and no more.
  @Test func sharesWhatIsNotWritten() throws {
    let first = try Subject(.byRequest)
    try first.write(at: 0, [UInt8](repeating: 7, count: Self.size))
    let fork = try Subject(.byRequest, over: try first.memory.freeze(), content: first.content)
    #expect(try fork.isRight && first.isRight)
    #expect(fork.memory.storedBytes == 0 && first.memory.storedBytes == 0)
    try fork.write(at: 70_000, [1])
    #expect(fork.memory.storedBytes == UInt64(fork.memory.chunkSize))
    #expect(try fork.isRight && first.isRight)
  }

  /// Nothing that did not come by a request may write what others see.
  @Test func frozenMemoryIsNotWritten() async throws {
    await #expect(processExitsWith: .signal(SIGSEGV)) {
      let subject = try Subject(.byRequest)
      try subject.write(at: 0, [1])
      _ = try subject.memory.freeze()
      subject.memory.host(of: LayersTests.base, count: 1)?.storeBytes(of: 2, as: UInt8.self)
    }
  }

  @Test func refusesWhatDoesNotFit() throws {
    let layers = try Subject(.byRequest).memory.freeze()
    let other = try GuestMemory(regions: [(base: Self.base, size: Self.size + 0x10_0000)])
    #expect(throws: Errno.invalid) { try other.adopt(layers) }
    let same = try Subject(.byRequest)
    var wrong = layers
    wrong.sources[3] = 1
    #expect(throws: Errno.invalid) { try same.memory.adopt(wrong) }
    wrong = layers
    wrong.chunkShift = 12
    #expect(throws: Errno.invalid) { try same.memory.adopt(wrong) }
    wrong = layers
    wrong.sources.removeLast()
    #expect(throws: Errno.invalid) { try same.memory.adopt(wrong) }
  }
}
