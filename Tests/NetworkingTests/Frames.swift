import HostSystem

/// Bytes of network packets, made and read by hand: big-endian numbers and the internet checksum.
enum Frames {
  static let guestMAC: [UInt8] = [0x52, 0x54, 0, 0x12, 0x34, 0x56]
  static let broadcast = [UInt8](repeating: 0xFF, count: 6)

  static func bytes(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }
  static func bytes(_ value: UInt32) -> [UInt8] {
    bytes(UInt16(value >> 16)) + bytes(UInt16(truncatingIfNeeded: value))
  }
  static func bytes(_ address: IPv4Address) -> [UInt8] { bytes(address.value) }

  /// RFC 1071.
  static func checksum(_ data: [UInt8]) -> UInt16 {
    var sum: UInt32 = 0
    for index in stride(from: 0, to: data.count, by: 2) {
      sum += UInt32(data[index]) << 8 | (index + 1 < data.count ? UInt32(data[index + 1]) : 0)
    }
    while sum >> 16 != 0 { sum = sum & 0xFFFF + sum >> 16 }
    return ~UInt16(sum)
  }

  static func ethernet(to: [UInt8], type: UInt16, _ payload: [UInt8]) -> [UInt8] {
    to + guestMAC + bytes(type) + payload
  }

  static func arp(operation: UInt16, from: IPv4Address, to: IPv4Address, mac: [UInt8]) -> [UInt8] {
    let payload = bytes(1 as UInt16) + bytes(0x0800 as UInt16) + [6, 4] + bytes(operation)
    return ethernet(
      to: operation == 1 ? broadcast : mac, type: 0x0806,
      payload + guestMAC + bytes(from) + mac + bytes(to))
  }

  static func ipv4(
    protocol number: UInt8, from: IPv4Address, to: IPv4Address, mac: [UInt8], _ payload: [UInt8]
  ) -> [UInt8] {
    var header = [0x45, 0] + bytes(UInt16(20 + payload.count)) + [0, 1, 0, 0, 64, number, 0, 0]
    header += bytes(from) + bytes(to)
    header.replaceSubrange(10..<12, with: bytes(checksum(header)))
    return ethernet(to: mac, type: 0x0800, header + payload)
  }

  /// Puts the checksum of TCP or UDP, with the addresses' pseudo header, into a segment.
  static func sealed(
    _ segment: [UInt8], protocol number: UInt8, at offset: Int, from: IPv4Address, to: IPv4Address
  ) -> [UInt8] {
    var segment = segment
    let pseudo = bytes(from) + bytes(to) + [0, number] + bytes(UInt16(segment.count))
    segment.replaceSubrange(offset..<offset + 2, with: bytes(checksum(pseudo + segment)))
    return segment
  }

  static func udp(from: UInt16, to: UInt16, _ payload: [UInt8]) -> [UInt8] {
    bytes(from) + bytes(to) + bytes(UInt16(8 + payload.count)) + [0, 0] + payload
  }

  struct Flags: OptionSet {
    let rawValue: UInt8
    static let fin = Flags(rawValue: 1)
    static let syn = Flags(rawValue: 2)
    static let rst = Flags(rawValue: 4)
    static let psh = Flags(rawValue: 8)
    static let ack = Flags(rawValue: 16)
  }

  /// A received IPv4 packet that is whole and whose checksums are right.
  struct IPv4Packet {
    let number: UInt8
    let source: IPv4Address
    let destination: IPv4Address
    let payload: [UInt8]

    init?(_ frame: [UInt8]) {
      guard frame.count >= 34, frame[12] == 8, frame[13] == 0, frame[14] >> 4 == 4 else { return nil }
      let headerSize = Int(frame[14] & 15) * 4
      let total = Int(frame[16]) << 8 | Int(frame[17])
      guard total >= headerSize, frame.count >= 14 + total,
        Frames.checksum(Array(frame[14..<14 + headerSize])) == 0
      else { return nil }
      number = frame[23]
      source = IPv4Address(frame[26], frame[27], frame[28], frame[29])
      destination = IPv4Address(frame[30], frame[31], frame[32], frame[33])
      payload = Array(frame[14 + headerSize..<14 + total])
      if number == 6 || (number == 17 && payload[6...7] != [0, 0]) {
        let pseudo = Frames.bytes(source) + Frames.bytes(destination) + [0, number]
        guard Frames.checksum(pseudo + Frames.bytes(UInt16(payload.count)) + payload) == 0 else {
          return nil
        }
      }
    }

    func word(_ offset: Int) -> UInt16 { UInt16(payload[offset]) << 8 | UInt16(payload[offset + 1]) }
    func long(_ offset: Int) -> UInt32 { UInt32(word(offset)) << 16 | UInt32(word(offset + 2)) }
  }
}
