internal import CHost
internal import Glibc

/// The kernel's own worker for the queues of a network device (vhost-net, linux/vhost.h): it moves frames between rings
/// in this process's memory and a TAP device, is woken by one counter for each queue and signals another.
package final class VHostNet: Sendable {
  package static let path = "/dev/vhost-net"

  /// Memory that the rings and buffers are in.
  package struct Memory: Sendable {
    /// The addresses that descriptors have.
    package var guest: UInt64
    /// Bytes; whole pages.
    package var size: Int
    /// Where it is mapped in this process.
    package var host: UInt

    package init(guest: UInt64, size: Int, host: UInt) {
      self.guest = guest
      self.size = size
      self.host = host
    }
  }

  /// A split virtqueue, by addresses in this process.
  package struct Ring: Sendable {
    /// Descriptors.
    package var size: Int
    /// The next entry of the available ring to take.
    package var position: UInt16
    package var descriptors: UInt
    package var available: UInt
    package var used: UInt
    /// Where the used ring is for the guest, which the log of writes goes by.
    package var usedAddress: UInt64

    package init(
      size: Int, position: UInt16, descriptors: UInt, available: UInt, used: UInt, usedAddress: UInt64
    ) {
      self.size = size
      self.position = position
      self.descriptors = descriptors
      self.available = available
      self.used = used
      self.usedAddress = usedAddress
    }
  }

  private static let requests = [
    volary_vhost_get_features, volary_vhost_set_features, volary_vhost_set_owner, volary_vhost_set_memory,
    volary_vhost_set_log, volary_vhost_set_ring_size, volary_vhost_set_ring_addresses,
    volary_vhost_set_ring_position, volary_vhost_set_kick, volary_vhost_set_call, volary_vhost_set_error,
    volary_vhost_set_backend,
  ]
  /// Requests of ioctl(2) that this class makes.
  package static let requestNumbers = requests.map { UInt32(truncatingIfNeeded: $0) }

  private let device: Descriptor
  /// The bits of virtio's features that the kernel knows, of those that it has to know.
  package let features: UInt64

  /// Takes the opened device for this process, whose queues lie in `memory`.
  package init(device: Descriptor, memory: [Memory]) throws(Errno) {
    self.device = device
    try check(volary_ioctl(device.raw, volary_vhost_set_owner, nil))
    var features: UInt64 = 0
    try Self.request(device, volary_vhost_get_features, &features)
    self.features = features
    // A count, then for each region its address, size, place here and no flags.
    var table: [UInt64] = [UInt64(memory.count)]
    for region in memory { table += [region.guest, UInt64(region.size), UInt64(region.host), 0] }
    try check(
      table.withUnsafeMutableBytes { volary_ioctl(device.raw, volary_vhost_set_memory, $0.baseAddress) })
  }

  /// Has the kernel note the pages that it writes as bits at `log`, of guests' addresses from 0 on. It notes those of
  /// queues that are started, and agreed on, as logged.
  package func setLog(_ log: UnsafeMutableRawPointer) throws(Errno) {
    var base = UInt64(UInt(bitPattern: log))
    try Self.request(device, volary_vhost_set_log, &base)
  }

  /// Says what both sides of the queues have agreed on, and whether writes to buffers are noted. Queues may be at work,
  /// and then only the second may change.
  package func agree(on features: UInt64, isLogged: Bool) throws(Errno) {
    let logs: UInt64 = 1 << UInt64(VHOST_F_LOG_ALL)
    var features = features & self.features & ~logs | (isLogged ? logs : 0)
    try Self.request(device, volary_vhost_set_features, &features)
  }

  /// Begins work on a queue, 0 to the driver or 1 from it. `failed` is signalled when the queue is found broken.
  package func start(
    queue: Int, _ ring: Ring, isLogged: Bool, tap: Descriptor, kick: EventCounter, call: EventCounter,
    failed: EventCounter
  ) throws(Errno) {
    let index = UInt32(queue)
    var size = vhost_vring_state(index: index, num: UInt32(ring.size))
    try Self.request(device, volary_vhost_set_ring_size, &size)
    var position = vhost_vring_state(index: index, num: UInt32(ring.position))
    try Self.request(device, volary_vhost_set_ring_position, &position)
    try place(queue: queue, ring, isLogged: isLogged)
    for (request, counter) in [
      (volary_vhost_set_kick, kick), (volary_vhost_set_call, call), (volary_vhost_set_error, failed),
    ] {
      var file = vhost_vring_file(index: index, fd: counter.descriptor.raw)
      try Self.request(device, request, &file)
    }
    var backend = vhost_vring_file(index: index, fd: tap.raw)
    try Self.request(device, volary_vhost_set_backend, &backend)
  }

  /// Ends work on a queue: when this returns, nothing is in flight.
  package func stop(queue: Int) {
    var nothing = vhost_vring_file(index: UInt32(queue), fd: -1)
    try? Self.request(device, volary_vhost_set_backend, &nothing)
  }

  /// Says where a queue's ring is and whether writes to it are noted; at work, only the second may change.
  package func place(queue: Int, _ ring: Ring, isLogged: Bool) throws(Errno) {
    var addresses = vhost_vring_addr()
    addresses.index = UInt32(queue)
    addresses.flags = isLogged ? 1 << UInt32(VHOST_VRING_F_LOG) : 0
    addresses.desc_user_addr = UInt64(ring.descriptors)
    addresses.used_user_addr = UInt64(ring.used)
    addresses.avail_user_addr = UInt64(ring.available)
    addresses.log_guest_addr = ring.usedAddress
    try Self.request(device, volary_vhost_set_ring_addresses, &addresses)
  }

  private static func request<Argument>(_ device: Descriptor, _ number: UInt, _ argument: inout Argument)
    throws(Errno)
  {
    try check(withUnsafeMutablePointer(to: &argument) { volary_ioctl(device.raw, number, $0) })
  }
}
