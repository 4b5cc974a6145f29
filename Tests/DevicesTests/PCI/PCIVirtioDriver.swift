import Glibc
import HostSystem
import Testing

/// A driver of a virtio device on PCI, written from the specifications alone (PCI 3.0 §6, virtio 1.2 §4.1),
/// so that it can drive anybody's.
final class PCIVirtioDriver {
  struct Structure: Equatable {
    /// Where the capability is in the configuration space.
    let place: Int
    let range: Int
    let offset: UInt64
    let length: UInt64
  }

  enum Kind {
    static let common = 1, notify = 2, interruptStatus = 3, device = 4, access = 5
  }

  static let version1: UInt64 = 1 << 32
  static let queueSize = 8

  let machine: any PCIMachine
  let device: Int
  /// Identifiers of capabilities and where they are, in the list's order.
  private(set) var capabilities: [(id: Int, place: Int)] = []
  private(set) var structures: [Int: Structure] = [:]
  /// Addresses of the ranges by their register, and their sizes.
  private(set) var ranges: [Int: UInt64] = [:]
  private(set) var sizes: [Int: UInt64] = [:]
  /// Where this driver's rings and buffers are.
  let area: UInt64
  private var nextAvailable: UInt16 = 0
  private var nextUsed: UInt16 = 0

  init(_ machine: any PCIMachine, device: Int) throws {
    self.machine = machine
    self.device = device
    area = 0x8010_0000 + UInt64(device) << 16
    try findCapabilities()
  }

  /// The same driver in a machine that goes on from a snapshot.
  init(_ machine: any PCIMachine, device: Int, goingOnFrom other: PCIVirtioDriver) throws {
    self.machine = machine
    self.device = device
    area = other.area
    (ranges, sizes) = (other.ranges, other.sizes)
    (nextAvailable, nextUsed) = (other.nextAvailable, other.nextUsed)
    try findCapabilities()
  }

  // MARK: - Configuration space

  func config(_ offset: Int, _ width: Int) throws -> UInt64 { try machine.config(device, offset, width) }
  func setConfig(_ offset: Int, _ width: Int, _ value: UInt64) throws {
    try machine.setConfig(device, offset, width, value)
  }

  private func findCapabilities() throws {
    try #require(try config(0x06, 2) & 1 << 4 != 0, "there is no list of capabilities")
    var place = Int(try config(0x34, 1))
    while place != 0 {
      try #require(place >= 0x40 && place % 4 == 0 && capabilities.count < 48)
      let id = Int(try config(place, 1))
      capabilities.append((id, place))
      if id == 9 {
        let kind = Int(try config(place + 3, 1))
        let structure = Structure(
          place: place, range: Int(try config(place + 4, 1)), offset: try config(place + 8, 4),
          length: try config(place + 12, 4))
        // The first of a kind is the one that the device likes best.
        structures[kind] = structures[kind] ?? structure
      }
      place = Int(try config(place + 1, 1))
    }
  }

  func place(ofCapability id: Int) -> Int? { capabilities.first { $0.id == id }?.place }

  /// Sizes the ranges (§6.2.5.1) and puts them where this driver wants them, one behind the other.
  func assign(at base: UInt64) throws {
    try setConfig(0x04, 2, 0)
    var next = base
    var index = 0
    while index < 6 {
      let register = 0x10 + 4 * index
      try setConfig(register, 4, 0xFFFF_FFFF)
      let low = try config(register, 4)
      let isWide = low & 0b110 == 0b100
      if low == 0 || low & 1 == 1 {
        index += 1
        continue
      }
      var mask = low & ~0xF | 0xFFFF_FFFF_0000_0000
      if isWide {
        try setConfig(register + 4, 4, 0xFFFF_FFFF)
        mask = low & ~0xF | (try config(register + 4, 4)) << 32
      }
      let size = ~mask &+ 1
      try #require(size.nonzeroBitCount == 1)
      next = (next + size - 1) & ~(size - 1)
      try setConfig(register, 4, next & 0xFFFF_FFFF)
      if isWide { try setConfig(register + 4, 4, next >> 32) }
      ranges[index] = next
      sizes[index] = size
      next += size
      index += isWide ? 2 : 1
    }
    // Memory space and bus mastering.
    try setConfig(0x04, 2, 0x6)
  }

  // MARK: - Structures

  func address(_ kind: Int, _ offset: UInt64) throws -> UInt64 {
    let structure = try #require(structures[kind])
    return try #require(ranges[structure.range]) + structure.offset + offset
  }

  func common(_ offset: UInt64, _ width: Int) throws -> UInt64 {
    try machine.read(try address(Kind.common, offset), width)
  }

  func setCommon(_ offset: UInt64, _ width: Int, _ value: UInt64) throws {
    try machine.write(try address(Kind.common, offset), width, value)
  }

  func status() throws -> UInt64 { try common(0x14, 1) }

  func offeredFeatures() throws -> UInt64 {
    try setCommon(0x00, 4, 0)
    let low = try common(0x04, 4)
    try setCommon(0x00, 4, 1)
    return low | (try common(0x04, 4)) << 32
  }

  /// Reads the interrupt status, which clears it.
  func takeInterruptStatus() throws -> UInt64 {
    try machine.read(try address(Kind.interruptStatus, 0), 1)
  }

  // MARK: - Life (§3.1.1)

  /// Resets the device and brings it to life with one queue of eight descriptors. Vectors are asked for
  /// where messages are to be used.
  func start(queue: Int = 0, vector: UInt64? = nil, configurationVector: UInt64? = nil) throws {
    try setCommon(0x14, 1, 0)
    #expect(try status() == 0)
    try setCommon(0x14, 1, 1)
    try setCommon(0x14, 1, 3)
    #expect(try offeredFeatures() & Self.version1 != 0)
    try setCommon(0x08, 4, 0)
    try setCommon(0x0C, 4, 0)
    try setCommon(0x08, 4, 1)
    try setCommon(0x0C, 4, 1)
    try setCommon(0x14, 1, 11)
    #expect(try status() == 11, "the device takes the features")
    if let configurationVector {
      try setCommon(0x10, 2, configurationVector)
      #expect(try common(0x10, 2) == configurationVector)
    }
    try setCommon(0x16, 2, UInt64(queue))
    #expect(try common(0x18, 2) >= UInt64(Self.queueSize))
    try setCommon(0x18, 2, UInt64(Self.queueSize))
    if let vector {
      try setCommon(0x1A, 2, vector)
      #expect(try common(0x1A, 2) == vector)
    }
    for offset in stride(from: 0, to: 0x3000, by: 8) { try machine.write(area + UInt64(offset), 8, 0) }
    for (register, offset) in [(0x20, 0), (0x28, 0x1000), (0x30, 0x2000)] as [(UInt64, UInt64)] {
      try setCommon(register, 4, (area + offset) & 0xFFFF_FFFF)
      try setCommon(register + 4, 4, (area + offset) >> 32)
    }
    try setCommon(0x1C, 2, 1)
    #expect(try common(0x1C, 2) == 1)
    try setCommon(0x14, 1, 15)
    #expect(try status() == 15)
    (nextAvailable, nextUsed) = (0, 0)
  }

  // MARK: - Requests

  /// Where this driver has room for buffers.
  var buffers: UInt64 { area + 0x4000 }

  func notifyAddress(ofQueue queue: Int) throws -> UInt64 {
    try setCommon(0x16, 2, UInt64(queue))
    let structure = try #require(structures[Kind.notify])
    let multiplier = try config(structure.place + 16, 4)
    return try address(Kind.notify, (try common(0x1E, 2)) * multiplier)
  }

  /// Makes a chain of buffers available and notifies the device, by `ringing` if that is given.
  func send(
    queue: Int = 0, _ chain: [(address: UInt64, count: UInt64, isWritable: Bool)],
    ringing: (() -> Void)? = nil
  ) throws {
    for (number, buffer) in chain.enumerated() {
      let descriptor = area + 16 * UInt64(number)
      let isLast = number + 1 == chain.count
      try machine.write(descriptor, 8, buffer.address)
      try machine.write(descriptor + 8, 4, buffer.count)
      try machine.write(descriptor + 12, 2, (isLast ? 0 : 1) | (buffer.isWritable ? 2 : 0))
      try machine.write(descriptor + 14, 2, UInt64(number + 1))
    }
    try machine.write(area + 0x1004 + 2 * UInt64(Int(nextAvailable) % Self.queueSize), 2, 0)
    nextAvailable &+= 1
    try machine.write(area + 0x1002, 2, UInt64(nextAvailable))
    if let ringing { return ringing() }
    try machine.write(try notifyAddress(ofQueue: queue), 2, UInt64(queue))
  }

  /// Waits for the answer to the oldest request; returns how many bytes were written.
  func wait() throws -> UInt64 {
    let index = area + 0x2002
    let deadline = monotonicNanoseconds() + 120_000_000_000
    while try machine.read(index, 2) == UInt64(nextUsed) {
      try #require(monotonicNanoseconds() < deadline, "the device does not answer")
      usleep(100)
    }
    let element = area + 0x2004 + 8 * UInt64(Int(nextUsed) % Self.queueSize)
    nextUsed &+= 1
    return try machine.read(element + 4, 4)
  }

  /// Has an entropy device fill 16 bytes.
  func fetchEntropy() throws {
    for half in [0, 8] as [UInt64] { try machine.write(buffers + half, 8, 0) }
    try send([(buffers, 16, true)])
    #expect(try wait() == 16)
    #expect(try machine.read(buffers, 8) | machine.read(buffers + 8, 8) != 0)
  }

  /// Waits until a condition holds.
  func eventually(_ condition: () throws -> Bool) rethrows -> Bool {
    let deadline = monotonicNanoseconds() + 120_000_000_000
    while monotonicNanoseconds() < deadline {
      if try condition() { return true }
      usleep(100)
    }
    return false
  }

  // MARK: - MSI-X (PCI 3.0 §6.8.2)

  /// Where the table and the pending bits are.
  func messageTable() throws -> (table: UInt64, pending: UInt64, count: Int) {
    let place = try #require(self.place(ofCapability: 0x11))
    let (table, pending) = (try config(place + 4, 4), try config(place + 8, 4))
    return (
      try #require(ranges[Int(table & 7)]) + table & ~7,
      try #require(ranges[Int(pending & 7)]) + pending & ~7,
      Int(try config(place + 2, 2) & 0x7FF) + 1
    )
  }

  func setVector(_ vector: Int, address: UInt64, data: UInt64, isMasked: Bool = false) throws {
    let entry = try messageTable().table + 16 * UInt64(vector)
    try machine.write(entry, 4, address & 0xFFFF_FFFF)
    try machine.write(entry + 4, 4, address >> 32)
    try machine.write(entry + 8, 4, data)
    try machine.write(entry + 12, 4, isMasked ? 1 : 0)
  }

  func setMasked(_ vector: Int, _ isMasked: Bool) throws {
    try machine.write(try messageTable().table + 16 * UInt64(vector) + 12, 4, isMasked ? 1 : 0)
  }

  func isPending(_ vector: Int) throws -> Bool {
    let word = try machine.read(try messageTable().pending + UInt64(vector / 32 * 4), 4)
    return word >> UInt64(vector % 32) & 1 == 1
  }

  /// Message control's upper two bits.
  func setMessages(enabled: Bool, masked: Bool = false) throws {
    let place = try #require(self.place(ofCapability: 0x11))
    try setConfig(place + 2, 2, (enabled ? 1 << 15 : 0) | (masked ? 1 << 14 : 0))
  }
}
