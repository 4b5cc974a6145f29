package import HostSystem

/// The last of what a guest wrote on its serial console, in a file of fixed size that outlives the machine's process.
///
/// A header of 64 bytes holds a magic number (8 bytes), the bytes that follow the header (8), and how many bytes were
/// ever written (8), all little-endian. Byte number n of the output lies at n modulo ``capacity`` behind the header.
/// Content is written before it is counted, so that up to ``margin`` of the oldest bytes may be newer ones.
package enum ConsoleRing {
  /// Bytes of output in the file.
  package static let capacity = 256 << 10
  /// Bytes that may have been written and not counted.
  package static let margin = 16 << 10
  /// Bytes of output that can be read back.
  package static let readable = capacity - margin

  static let headerSize: UInt64 = 64
  static let writtenOffset: UInt64 = 16
  /// "VOLRING1".
  static let magic: UInt64 = 0x3147_4e49_524c_4f56
  /// More than any guest writes; a file that says so is none of ours.
  static let mostWritten = UInt64(1) << 62

  /// A part of a console's output.
  package struct Output: Equatable, Sendable {
    /// Number of the byte behind the last: how many there have been.
    package var end: UInt64
    package var bytes: [UInt8]

    package init(end: UInt64 = 0, bytes: [UInt8] = []) {
      self.end = end
      self.bytes = bytes
    }
  }

  /// The last `count` bytes, as far as they are there; nothing when the file is no ring. It may be written meanwhile,
  /// and hold any bytes.
  package static func read(last count: Int, from file: Descriptor) throws(Errno) -> Output {
    guard let end = try written(file) else { return Output() }
    let wanted = min(UInt64(max(0, count)), end, UInt64(readable))
    let start = end - wanted
    var bytes: [UInt8] = []
    for part in parts(start, Int(wanted)) { bytes += try file.read(part.count, at: part.offset) }
    // Cut off, or made anew, under our hands.
    guard bytes.count == Int(wanted), let now = try written(file), now >= end else { return Output() }
    // What has been written over since.
    let oldest = now > UInt64(readable) ? now - UInt64(readable) : 0
    if oldest > start { bytes.removeFirst(Int(min(oldest - start, wanted))) }
    return Output(end: end, bytes: bytes)
  }

  /// How many bytes were ever written; nil when the file is no ring.
  static func written(_ file: Descriptor) throws(Errno) -> UInt64? {
    var reader = WireReader(try file.read(24, at: 0))
    guard (try? reader.integer(UInt64.self)) == magic,
      (try? reader.integer(UInt64.self)) == UInt64(capacity), let written = try? reader.integer(UInt64.self),
      written <= mostWritten
    else { return nil }
    return written
  }

  /// Where a run of at most ``capacity`` bytes lies in the file: in one piece or in two.
  static func parts(_ start: UInt64, _ count: Int) -> [(offset: UInt64, count: Int)] {
    let place = Int(start % UInt64(capacity))
    let first = min(count, capacity - place)
    return [(headerSize + UInt64(place), first), (headerSize, count - first)].filter { $0.count > 0 }
  }
}

/// Writes a guest's output to a ``ConsoleRing``. For one thread.
package struct ConsoleRingWriter: Sendable {
  private let file: Descriptor
  private var written: UInt64

  /// Goes on after what the file holds; what is no ring becomes an empty one.
  package init(_ file: Descriptor) throws(Errno) {
    self.file = file
    let size = Int64(ConsoleRing.headerSize) + Int64(ConsoleRing.capacity)
    if let written = try ConsoleRing.written(file), written <= ConsoleRing.mostWritten / 2 {
      self.written = written
      try file.truncate(to: size)
      return
    }
    written = 0
    try file.truncate(to: 0)
    try file.truncate(to: size)
    var header = WireWriter()
    header.integer(ConsoleRing.magic)
    header.integer(UInt64(ConsoleRing.capacity))
    header.integer(written)
    try file.writeAll(header.bytes[...], at: 0)
  }

  /// Adds to the output. What cannot be written is left out.
  package mutating func append(_ bytes: [UInt8]) throws(Errno) {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = min(rest.count, ConsoleRing.margin)
      for part in ConsoleRing.parts(written, count) {
        try file.writeAll(rest.prefix(part.count), at: part.offset)
        rest.removeFirst(part.count)
      }
      written += UInt64(count)
      var total = WireWriter()
      total.integer(written)
      try file.writeAll(total.bytes[...], at: ConsoleRing.writtenOffset)
    }
  }
}
