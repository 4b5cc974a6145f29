package import HostSystem

/// FNV-1a of 64 bits: finds accidents, not malice.
package struct Fingerprint: Sendable {
  package private(set) var value: UInt64 = 0xCBF2_9CE4_8422_2325

  package init() {}

  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    for byte in bytes { value = (value ^ UInt64(byte)) &* 0x100_0000_01B3 }
  }

  /// Of samples of a disk: its beginning, where partition tables and file systems have their
  /// identities, and pieces evenly spread, which change when somebody mounts and writes it. It tells
  /// a wrong or changed base from the right one in a few milliseconds; a small change may escape it.
  package static func sampling(_ disk: any DiskImage) throws(Errno) -> UInt64 {
    var fingerprint = Fingerprint()
    let beginning: UInt64 = 64 << 10
    let piece: UInt64 = 4096
    let pieces: UInt64 = 16
    var buffer = [UInt8](repeating: 0, count: Int(beginning))
    func add(_ offset: UInt64, _ count: UInt64) throws(Errno) {
      let held = Int(min(count, disk.size - offset))
      try buffer.withUnsafeMutableBufferPointer { (bytes) throws(Errno) in
        let part = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(bytes)[..<held])
        try disk.read(at: offset, into: part)
        fingerprint.add(UnsafeRawBufferPointer(part))
      }
    }
    try add(0, beginning)
    let stride = disk.size / (pieces + 1) / sectorSize * sectorSize
    for index in 1...pieces { try add(index * stride, piece) }
    return fingerprint.value
  }
}
