import GuestMemory

/// A request that a device of some kind is likely to understand, with what chance changes in it: further in than
/// descriptors of chance come.
struct VirtioFuzzRequest {
  enum Kind: CaseIterable {
    case block, network, console, entropy, balloon, socket

    /// How many queues are worth a request.
    var queues: Int {
      switch self {
      case .block, .entropy: 1
      case .network, .socket: 3
      case .balloon: 3
      case .console: 6
      }
    }
  }

  /// What the driver writes.
  private var readable: [UInt8]
  /// Bytes for the answer.
  private var writable: Int

  init(_ kind: Kind, queue: Int, _ random: inout FuzzRandom) {
    (readable, writable) = ([], 0)
    switch kind {
    case .block: makeBlock(&random)
    case .network: makeNetwork(queue, &random)
    case .console: makeConsole(queue, &random)
    case .entropy: writable = 1 + random.below(5000)
    case .balloon: readable = (0..<random.below(64)).flatMap { _ in Self.little(UInt32(random.below(600))) }
    case .socket: makeSocket(queue, &random)
    }
    if random.once(in: 12) { random.mutate(&readable) }
    if random.once(in: 30) { writable = random.below(64) }
  }

  private static func little<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  // MARK: - Kinds

  private mutating func makeBlock(_ random: inout FuzzRandom) {
    let type = UInt32(random.pick([0, 0, 1, 1, 4, 8, 11, 13, random.below(20)]))
    let sector = random.once(in: 10) ? random.number() : UInt64(random.below(130))
    readable = Self.little(type) + Self.little(UInt32(0)) + Self.little(sector)
    switch type {
    case 0: writable = 512 * random.below(9) + 1
    case 1:
      readable += random.bytes(512 * random.below(9))
      writable = 1
    case 11, 13:
      for _ in 0..<random.below(4) {
        readable += Self.little(UInt64(random.below(130))) + Self.little(UInt32(random.below(40)))
        readable += Self.little(UInt32(random.below(3)))
      }
      writable = 1
    default: writable = 21
    }
  }

  private mutating func makeNetwork(_ queue: Int, _ random: inout FuzzRandom) {
    switch queue {
    case 0: writable = 12 + random.below(2000)
    case 1:
      var header = [UInt8](repeating: 0, count: 12)
      if random.once(in: 3) {
        header = [1, 0, 0, 0, 0, 0, UInt8(random.below(80)), 0, UInt8(random.below(40)), 0, 0, 0]
      }
      readable = header + random.bytes(14 + random.below(1500))
    default:
      readable = [UInt8(random.below(3)), UInt8(random.below(2))] + random.bytes(random.below(20))
      writable = 1
    }
  }

  private mutating func makeConsole(_ queue: Int, _ random: inout FuzzRandom) {
    switch queue {
    case 0, 2, 4: writable = 1 + random.below(200)
    case 3:
      let event = UInt16(random.pick([0, 3, 3, 6, 6, random.below(10)]))
      readable =
        Self.little(UInt32(random.below(4))) + Self.little(event) + Self.little(UInt16(random.below(2)))
    default: readable = random.bytes(random.below(300))
    }
  }

  private mutating func makeSocket(_ queue: Int, _ random: inout FuzzRandom) {
    switch queue {
    case 0: writable = random.once(in: 10) ? 44 + random.below(3) : 44 + random.below(4096)
    case 1:
      let data = random.once(in: 2) ? random.bytes(random.below(3000)) : []
      // Few ports, so that packets meet connections; those of the host's programs too.
      let host = random.once(in: 2) ? UInt32(80 + random.below(3)) : 1 << 30 + UInt32(random.below(8))
      let guest = random.pick([1, 2, 3, 5, 1000]) as UInt32
      let operation = random.once(in: 3) ? 5 : UInt16(random.below(9))
      readable = Self.little(UInt64(random.once(in: 20) ? random.below(5) : 3))
      readable += Self.little(UInt64(random.once(in: 20) ? random.below(5) : 2))
      readable += Self.little(guest) + Self.little(host)
      readable += Self.little(UInt32(random.once(in: 20) ? random.below(70_000) : data.count))
      readable += Self.little(UInt16(random.once(in: 20) ? random.below(3) : 1)) + Self.little(operation)
      readable += Self.little(UInt32(random.below(4)))
      readable += Self.little(UInt32(random.pick([0, 1, 100, 65_536, 1 << 20, random.below(1 << 31)])))
      readable += Self.little(UInt32(random.once(in: 2) ? 0 : random.below(1 << 16))) + data
    default: writable = random.below(9)
    }
  }

  // MARK: - Rings

  /// Puts the request into rings (descriptors, available and used, a page each) as the next one, its bytes in `data`,
  /// each cut into buffers at a place of chance.
  func offer(ring: GuestSlice, data: GuestSlice, _ random: inout FuzzRandom) {
    let readable = readable.prefix(data.count / 2)
    readable.withUnsafeBytes { data.part(0..<readable.count).copy(from: $0) }
    let end = min(data.count, data.count / 2 + writable)
    var pieces: [(Range<Int>, UInt16)] = []
    func add(_ range: Range<Int>, _ flags: UInt16) {
      guard !range.isEmpty else { return }
      let middle = range.lowerBound + random.below(range.count)
      for part in [range.lowerBound..<middle, middle..<range.upperBound] where !part.isEmpty {
        pieces.append((part, flags))
      }
    }
    add(0..<readable.count, 0)
    add(data.count / 2..<end, 2)
    for (number, piece) in pieces.enumerated() {
      let isLast = number == pieces.count - 1
      ring.store(data.address + UInt64(piece.0.lowerBound), at: 16 * number)
      ring.store(UInt32(piece.0.count), at: 16 * number + 8)
      ring.store(piece.1 | (isLast ? 0 : 1), at: 16 * number + 12)
      ring.store(UInt16(number + 1), at: 16 * number + 14)
    }
    // The queue's size is not known here: the head is in every place that it could have.
    let next = ring.load(UInt16.self, at: 0x1000 + 2)
    var size = 1
    while size <= 256 {
      ring.store(UInt16(0), at: 0x1000 + 4 + 2 * (Int(next) & (size - 1)))
      size *= 2
    }
    ring.storeReleasing16(next &+ 1, at: 0x1000 + 2)
  }
}
