internal import VolaryAPI

/// A device by which a volume is attached to an instance.
struct VolumeDevice: Equatable, Sendable {
  /// Bytes of a virtio disk's serial number (virtio 1.3, section 5.2.6.2).
  private static let longestSerial = 20

  /// The device's name.
  let name: String
  let pool: String
  /// The volume's name.
  let source: String
  let isReadOnly: Bool

  /// Nil for a device of another kind.
  init?(name: String, _ device: [String: String]) {
    guard device["type"] == "disk", let pool = device["pool"], let source = device["source"], !source.isEmpty
    else { return nil }
    self.name = name
    self.pool = pool
    self.source = source
    isReadOnly = ["true", "1", "yes", "on"].contains(device["readonly"] ?? "")
  }

  /// By which its guest knows it, as /dev/disk/by-id/virtio-NAME: the device's name; of a long one its beginning and
  /// a number that is made of all of it.
  var serial: String {
    if name.utf8.count <= Self.longestSerial, name != "root" { return name }
    // FNV-1a, 32 bits.
    let hash = name.utf8.reduce(0x811C_9DC5 as UInt32) { ($0 ^ UInt32($1)) &* 0x0100_0193 }
    let digits = String(hash, radix: 16)
    let beginning = String(decoding: name.utf8.prefix(Self.longestSerial - 9), as: UTF8.self)
    return beginning + "-" + String(repeating: "0", count: 8 - digits.count) + digits
  }
}
