import DiskImages
import HostSystem
import Testing

/// What a disk should hold, beside random operations on it. After a discard a byte may be anything.
struct NBDModel {
  var bytes: [UInt8]
  private(set) var isKnown: [Bool]
  private var generator: Xorshift

  init(_ bytes: [UInt8], seed: UInt64) {
    self.bytes = bytes
    isKnown = Array(repeating: true, count: bytes.count)
    generator = Xorshift(seed: seed)
  }

  static func contents(_ count: Int, seed: UInt64 = 9) -> [UInt8] {
    var generator = Xorshift(seed: seed)
    return (0..<count / 512).flatMap { _ in
      [UInt8](
        repeating: generator.next() % 3 == 0 ? 0 : UInt8.random(in: 1...255, using: &generator), count: 512)
    }
  }

  private mutating func set(_ range: Range<Int>, _ byte: UInt8, isKnown known: Bool = true) {
    for index in range {
      bytes[index] = byte
      isKnown[index] = known
    }
  }

  func matches(_ found: [UInt8], at start: Int) -> Bool {
    found.indices.allSatisfy { !isKnown[start + $0] || found[$0] == bytes[start + $0] }
  }

  mutating func operate(on disk: any DiskImage, steps: Int, changes: Bool = true) throws {
    for step in 0..<steps {
      let grain = generator.next() % 4 == 0 ? 1 : 512
      let longest = [4, 40, 400].randomElement(using: &generator)! * 512
      let start = Int.random(in: 0..<bytes.count / grain, using: &generator) * grain
      let count = Int.random(in: 0...min(longest, bytes.count - start) / grain, using: &generator) * grain
      let range = start..<start + count
      switch generator.next() % 12 {
      case 0...4 where changes:
        let byte = UInt8(truncatingIfNeeded: step)
        try disk.write([UInt8](repeating: byte, count: count), at: UInt64(start))
        set(range, byte)
      case 5 where changes:
        try disk.discard(at: UInt64(start), count: UInt64(count))
        set(range, 0, isKnown: false)
      case 6 where changes:
        try disk.writeZeroes(at: UInt64(start), count: UInt64(count), mayUnmap: generator.next() % 2 == 0)
        set(range, 0)
      case 7 where generator.next() % 4 == 0: try disk.flush()
      case 8:
        guard start < bytes.count else { continue }
        let extent = try disk.extent(at: UInt64(start), limit: UInt64(bytes.count))
        try #require(extent.end > start && extent.end <= bytes.count)
        guard extent.content == .zero else { continue }
        let isZero = (start..<Int(extent.end)).allSatisfy { !isKnown[$0] || bytes[$0] == 0 }
        try #require(isZero, "step \(step)")
      default: try #require(matches(try disk.bytes(UInt64(start), count), at: start), "step \(step)")
      }
    }
    try #require(matches(try disk.bytes(0, bytes.count), at: 0))
  }
}
