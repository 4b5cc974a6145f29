package import HostSystem

/// A machine's last word: how it ended, in a file for whoever looks when its process is gone.
///
/// The file holds a magic number (4 bytes), the length of the event's packet (4), the packet, and a checksum of it
/// (FNV-1a, 8), all little-endian; what follows counts for nothing. A machine that was killed leaves none of it, and
/// half of it is none.
package enum EndRecord {
  /// "VEND".
  private static let magic: UInt32 = 0x444e_4556
  /// Bytes of an event's packet at most: its two longest strings, and the rest.
  private static let mostBytes = 2 * WireFormat.maximumString + 64

  /// The file's content for an event.
  package static func encode(_ event: ControlEvent) -> [UInt8] {
    let packet = ControlMessage.event(event).encoded()
    var writer = WireWriter()
    writer.integer(magic)
    writer.data(packet)
    writer.integer(checksum(packet[...]))
    return writer.bytes
  }

  /// The event that a file's bytes tell of, or nil when there is none, or not all of it. Any bytes may come.
  package static func decode(_ bytes: [UInt8]) -> ControlEvent? {
    var reader = WireReader(bytes)
    guard (try? reader.integer(UInt32.self)) == magic, let count = try? reader.index(), count <= mostBytes,
      bytes.count >= 8 + count + 8
    else { return nil }
    let packet = bytes[8..<8 + count]
    var rest = WireReader(Array(bytes[(8 + count)...]))
    guard (try? rest.integer(UInt64.self)) == checksum(packet),
      case .event(let event) = try? ControlMessage(decoding: Array(packet)), event.isEnd
    else { return nil }
    return event
  }

  /// Reads a file; nil when it has no whole record.
  package static func read(from file: Descriptor) throws(Errno) -> ControlEvent? {
    decode(try file.read(mostBytes + 16, at: 0))
  }

  /// Takes what an earlier machine left out of the file.
  package static func clear(_ file: Descriptor) throws(Errno) { try file.truncate(to: 0) }

  /// Writes how the machine ended. Its process may be killed at any moment of this.
  package static func write(_ event: ControlEvent, to file: Descriptor) throws(Errno) {
    try file.writeAll(encode(event)[...], at: 0)
  }

  private static func checksum(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
  }
}

extension ControlEvent {
  /// Whether a machine's process may end with it.
  package var isEnd: Bool {
    switch self {
    case .guestPoweredOff, .guestReset, .guestPanicked, .failed: true
    case .started, .warning, .diskFailed, .diskFull, .diskLost, .diskReturned, .memoryKept, .mirrorChanged:
      false
    }
  }
}
