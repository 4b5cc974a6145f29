import Devices
import Glibc
import GuestMemory
import HostSystem
import Synchronization
import Testing

/// An interrupt controller's input that remembers what happened to it.
final class RecordingSink: InterruptSink {
  private let state = Mutex((level: false, edges: 0))

  var level: Bool { state.withLock { $0.level } }
  /// How often the level rose.
  var edges: Int { state.withLock { $0.edges } }

  func setInput(_ input: Int, level: Bool) {
    state.withLock { state in
      if level, !state.level { state.edges += 1 }
      state.level = level
    }
  }
}

/// Lines reported by a transport.
final class Reports: Sendable {
  private let state = Mutex<[String]>([])
  var lines: [String] { state.withLock { $0 } }
  func add(_ line: String) { state.withLock { $0.append(line) } }
}

/// Whether a condition comes true within some seconds, enough for any machine.
func eventually(seconds: Double = 120, _ condition: () throws -> Bool) rethrows -> Bool {
  let deadline = monotonicNanoseconds() + UInt64(seconds * 1e9)
  while try !condition() {
    if monotonicNanoseconds() > deadline { return false }
    usleep(50)
  }
  return true
}

/// Whether bytes are equal, without the account of all their differences that an expectation would
/// make of long ones, which takes minutes.
func same(_ one: [UInt8], _ other: [UInt8]) -> Bool { one == other }

/// The guest's side of a virtio-mmio device: a driver written from the specification alone.
final class VirtioGuest {
  static let base: UInt64 = 0x8000_0000
  static let size = 32 << 20

  /// Bits of the status register.
  enum Status {
    static let acknowledge: UInt64 = 1
    static let driver: UInt64 = 2
    static let driverOK: UInt64 = 4
    static let featuresOK: UInt64 = 8
    static let needsReset: UInt64 = 64
  }

  static let version1: UInt64 = 1 << 32
  static let eventIndex: UInt64 = 1 << 29
  static let indirect: UInt64 = 1 << 28

  let memory: GuestMemory
  let device: VirtioMMIO
  let sink = RecordingSink()
  let reports = Reports()
  private(set) var features: UInt64 = 0
  private(set) var queues: [GuestQueue] = []
  private var nextFree = VirtioGuest.base

  init(_ device: any VirtioDevice, memory: GuestMemory? = nil) throws {
    let memory = try memory ?? Self.memory()
    self.memory = memory
    let reports = reports
    self.device = VirtioMMIO(
      device: device, memory: memory, interrupt: InterruptLine(sink: sink, input: 5),
      report: { reports.add($0) })
  }

  deinit { device.stop() }

  static func memory() throws -> GuestMemory { try GuestMemory(regions: [(base, size)]) }

  // MARK: - Registers

  func read(_ offset: UInt64) -> UInt64 { (try? device.read(offset: offset, width: 4)) ?? .max }

  /// False when the device refuses the write.
  @discardableResult
  func write(_ offset: UInt64, _ value: UInt64) -> Bool {
    (try? device.write(offset: offset, width: 4, value: value)) != nil
  }

  func configuration(_ offset: UInt64, width: Int = 4) -> UInt64 {
    (try? device.read(offset: 0x100 + offset, width: width)) ?? .max
  }

  var status: UInt64 { read(0x70) }
  @discardableResult
  func setStatus(_ bits: UInt64) -> Bool { write(0x70, status | bits) }
  func reset() { write(0x70, 0) }

  // MARK: - Start-up (§3.1.1)

  var offered: UInt64 {
    write(0x14, 0)
    let low = read(0x10)
    write(0x14, 1)
    return low | read(0x10) << 32
  }

  /// Agrees on features; true when the device accepts them.
  @discardableResult
  func negotiate(_ features: UInt64) -> Bool {
    setStatus(Status.acknowledge)
    setStatus(Status.driver)
    write(0x24, 0)
    write(0x20, features & 0xFFFF_FFFF)
    write(0x24, 1)
    write(0x20, features >> 32)
    self.features = features
    setStatus(Status.featuresOK)
    return status & Status.featuresOK != 0
  }

  /// Goes all the way to a live device. Sizes are the queues' own, nil for the device's maximum.
  func start(features wanted: UInt64? = nil, sizes: [Int?]? = nil, only: Set<Int>? = nil) {
    reset()
    #expect(negotiate(wanted ?? offered))
    queues = []
    for index in 0..<64 {
      write(0x30, UInt64(index))
      let maximum = Int(read(0x34))
      if maximum == 0 { break }
      let wish = sizes.flatMap { index < $0.count ? $0[index] : nil }
      let queue = GuestQueue(index: index, size: wish ?? maximum, guest: self)
      queues.append(queue)
      if only?.contains(index) != false { queue.configure() }
    }
    setStatus(Status.driverOK)
  }

  // MARK: - Memory

  func allocate(_ count: Int, alignment: UInt64 = 16) -> UInt64 {
    nextFree = (nextFree + alignment - 1) & ~(alignment - 1)
    defer { nextFree += UInt64(count) }
    precondition(nextFree + UInt64(count) <= Self.base + UInt64(Self.size))
    return nextFree
  }

  func allocate(bytes: [UInt8]) -> UInt64 {
    let address = allocate(max(1, bytes.count))
    store(bytes, at: address)
    return address
  }

  func store(_ bytes: [UInt8], at address: UInt64) {
    bytes.withUnsafeBytes { try! memory.slice(at: address, count: bytes.count).copy(from: $0) }
  }

  func bytes(at address: UInt64, _ count: Int) -> [UInt8] {
    try! memory.slice(at: address, count: count).copyBytes()
  }

  func slice(_ address: UInt64, _ count: Int) -> GuestSlice { try! memory.slice(at: address, count: count) }
}
