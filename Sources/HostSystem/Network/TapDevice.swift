internal import CHost
internal import Glibc

/// A TAP device of the host, attached: a read or a write of its descriptor is an Ethernet frame behind the header that
/// virtio network devices have (Documentation/networking/tuntap.rst).
package struct TapDevice: Sendable {
  /// Bytes before each frame: `virtio_net_hdr_v1`.
  package static let headerSize: Int32 = 12
  package static let path = "/dev/net/tun"

  /// What the kernel may leave undone in frames that it gives us (the TUN_F_* bits).
  package struct Offloads: OptionSet, Sendable, Hashable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    /// Checksums; the others mean this too.
    package static let checksum = Offloads(rawValue: 0x01)
    /// Segments of TCP, and such with congestion notifications.
    package static let tcp4 = Offloads(rawValue: 0x02)
    package static let tcp6 = Offloads(rawValue: 0x04)
    package static let congestion = Offloads(rawValue: 0x08)
    /// Datagrams of UDP as segments; both kinds, since Linux 6.2.
    package static let udp4 = Offloads(rawValue: 0x20)
    package static let udp6 = Offloads(rawValue: 0x40)
  }

  /// Why a TAP device cannot be had.
  package enum Failure: Error, Equatable, Sendable {
    /// The host's kernel has no TAP devices, or has not loaded their module.
    case noDriver
    /// This process may not open the driver's file.
    case driverDenied
    /// A name that no network device can have.
    case badName
    case noDevice
    /// The network device is of another kind.
    case notTAP
    /// It belongs to another user or group.
    case denied
    /// Somebody is attached to it already.
    case busy
    case other(Errno)
  }

  package let descriptor: Descriptor
  /// What can be left undone here.
  package let offloads: Offloads

  /// Requests of ioctl(2) that ``init(_:)`` and ``leave(_:)`` make.
  package static let requestNumbers = [UInt32(truncatingIfNeeded: volary_tun_set_offload)]

  /// Attaches to a device that exists.
  package static func attach(_ name: String) throws(Failure) -> Descriptor {
    let tap = try open(name)
    // The driver would make a device that does not exist.
    guard if_nametoindex(name) != 0 else { throw .noDevice }
    do throws(Errno) {
      // With one queue, or as one of several: as the device was made.
      do throws(Errno) { try attach(tap, name, flags: 0) } catch {
        guard error.code == EINVAL else { throw error }
        try attach(tap, name, flags: IFF_MULTI_QUEUE)
      }
      try setUp(tap)
    } catch { throw failure(error) }
    return tap
  }

  /// Makes a device, which goes with the last descriptor of it, however that closes.
  package static func make(_ name: String) throws(Failure) -> Descriptor {
    let tap = try open(name)
    do throws(Errno) {
      try attach(tap, name, flags: exclusive)
      try setUp(tap)
    } catch { throw failure(error) }
    return tap
  }

  /// IFF_TUN_EXCL of linux/if_tun.h: one of that name is taken for no new one.
  private static let exclusive: Int32 = 0x8000

  private static func open(_ name: String) throws(Failure) -> Descriptor {
    guard (1...15).contains(name.utf8.count), name.utf8.allSatisfy({ $0 > 0x20 && $0 != UInt8(ascii: "/") })
    else { throw .badName }
    do throws(Errno) { return try Descriptor.open(path, O_RDWR | O_NONBLOCK) } catch {
      switch error.code {
      case ENOENT, ENODEV, ENXIO: throw .noDriver
      case EACCES, EPERM: throw .driverDenied
      default: throw .other(error)
      }
    }
  }

  private static func setUp(_ tap: Descriptor) throws(Errno) {
    try request(tap, volary_tun_set_header_size, headerSize)
    try request(tap, volary_tun_set_little_endian, 1)
  }

  private static func failure(_ error: Errno) -> Failure {
    switch error.code {
    case EINVAL: .notTAP
    case EPERM, EACCES: .denied
    case EBUSY, E2BIG: .busy
    default: .other(error)
    }
  }

  /// `struct ifreq`: a name, and flags behind it.
  private static func attach(_ tap: Descriptor, _ name: String, flags: Int32) throws(Errno) {
    var request = Array(name.utf8) + [UInt8](repeating: 0, count: 40 - name.utf8.count)
    let bits = UInt16(truncatingIfNeeded: IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | flags)
    request[16] = UInt8(truncatingIfNeeded: bits)
    request[17] = UInt8(truncatingIfNeeded: bits >> 8)
    try check(
      request.withUnsafeMutableBytes { volary_ioctl(tap.raw, volary_tun_set_device, $0.baseAddress) })
  }

  private static func request(_ tap: Descriptor, _ number: UInt, _ value: Int32) throws(Errno) {
    var value = value
    try check(volary_ioctl(tap.raw, number, &value))
  }

  /// Takes what ``attach(_:)`` opened, perhaps in another process, and finds out what the kernel can leave undone.
  package init(_ descriptor: Descriptor) {
    self.descriptor = descriptor
    let tcp: Offloads = [.checksum, .tcp4, .tcp6, .congestion]
    let choices: [Offloads] = [tcp.union([.udp4, .udp6]), tcp, [.checksum]]
    offloads = choices.first { Self.leave($0, by: descriptor) } ?? []
    leave([])
  }

  /// Has the kernel leave that undone in frames that it gives us from now on, and nothing else.
  package func leave(_ offloads: Offloads) { _ = Self.leave(offloads, by: descriptor) }

  private static func leave(_ offloads: Offloads, by descriptor: Descriptor) -> Bool {
    volary_ioctl(
      descriptor.raw, volary_tun_set_offload, UnsafeMutableRawPointer(bitPattern: UInt(offloads.rawValue)))
      >= 0
  }
}
