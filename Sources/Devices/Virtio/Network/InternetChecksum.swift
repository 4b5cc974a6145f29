/// The one's-complement checksum of IP, TCP and UDP (RFC 1071).
package enum InternetChecksum {
  /// The sum of the bytes as 16-bit words of the host's order, an odd last byte padded with zero,
  /// folded to 16 bits. The sum's byte order is the words' own, so the host's serves (RFC 1071 §2).
  package static func sum(_ bytes: UnsafeRawBufferPointer, adding initial: UInt64 = 0) -> UInt16 {
    var sum = initial
    var offset = 0
    while offset + 8 <= bytes.count {
      add(bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self), to: &sum)
      offset += 8
    }
    var tail: UInt64 = 0
    withUnsafeMutableBytes(of: &tail) {
      $0.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[offset...]))
    }
    add(tail, to: &sum)
    sum = (sum & 0xFFFF_FFFF) + (sum >> 32)
    sum = (sum & 0xFFFF) + (sum >> 16 & 0xFFFF) + (sum >> 32)
    sum = (sum & 0xFFFF) + (sum >> 16)
    sum = (sum & 0xFFFF) + (sum >> 16)
    return UInt16(truncatingIfNeeded: sum)
  }

  private static func add(_ word: UInt64, to sum: inout UInt64) {
    let (total, carried) = sum.addingReportingOverflow(word)
    sum = total &+ (carried ? 1 : 0)
  }

  /// Completes a checksum whose field holds the sum of the pseudo-header: sums from `start` to the
  /// end and stores the result at `start + offset`. False when that is not within the frame.
  package static func complete(_ frame: UnsafeMutableRawBufferPointer, start: Int, offset: Int) -> Bool {
    guard start >= 0, offset >= 0, start + offset + 2 <= frame.count else { return false }
    let value = ~sum(UnsafeRawBufferPointer(rebasing: frame[start...]))
    // Zero would mean "no checksum" in UDP, and all ones is the same number.
    frame.storeBytes(of: value == 0 ? 0xFFFF : value, toByteOffset: start + offset, as: UInt16.self)
    return true
  }

  /// Whether an Ethernet frame carries TCP or UDP, whole, with a right checksum. False for all that
  /// is not so simple: fragments, VLAN tags, extension headers, UDP without a checksum.
  package static func isValid(_ frame: UnsafeRawBufferPointer) -> Bool {
    guard frame.count >= 14 else { return false }
    let packet = UnsafeRawBufferPointer(rebasing: frame[14...])
    switch (frame[12], frame[13]) {
    case (0x08, 0x00): return isValidIPv4(packet)
    case (0x86, 0xDD): return isValidIPv6(packet)
    default: return false
    }
  }

  private static func isValidIPv4(_ packet: UnsafeRawBufferPointer) -> Bool {
    guard packet.count >= 20, packet[0] >> 4 == 4 else { return false }
    let headerSize = Int(packet[0] & 15) * 4
    let size = Int(packet[2]) << 8 | Int(packet[3])
    let fragment = (Int(packet[6]) << 8 | Int(packet[7])) & 0x3FFF
    guard headerSize >= 20, size >= headerSize, size <= packet.count, fragment == 0 else { return false }
    return isValid(
      packet[headerSize..<size], protocolNumber: packet[9], addresses: packet[12..<20])
  }

  private static func isValidIPv6(_ packet: UnsafeRawBufferPointer) -> Bool {
    guard packet.count >= 40, packet[0] >> 4 == 6 else { return false }
    let size = Int(packet[4]) << 8 | Int(packet[5])
    guard size > 0, 40 + size <= packet.count else { return false }
    return isValid(packet[40..<40 + size], protocolNumber: packet[6], addresses: packet[8..<40])
  }

  private static func isValid(
    _ segment: Slice<UnsafeRawBufferPointer>, protocolNumber: UInt8, addresses: Slice<UnsafeRawBufferPointer>
  ) -> Bool {
    let segment = UnsafeRawBufferPointer(rebasing: segment)
    switch protocolNumber {
    case 6: guard segment.count >= 20 else { return false }
    case 17: guard segment.count >= 8, segment[6] | segment[7] != 0 else { return false }
    default: return false
    }
    let pseudo =
      UInt64(sum(UnsafeRawBufferPointer(rebasing: addresses)))
      + UInt64(UInt16(protocolNumber).bigEndian) + UInt64(UInt16(segment.count).bigEndian)
    return sum(segment, adding: pseudo) == 0xFFFF
  }
}
