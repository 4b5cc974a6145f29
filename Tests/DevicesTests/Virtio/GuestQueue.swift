import Devices
import Glibc
import GuestMemory
import Synchronization
import Testing

/// A buffer in guest memory as a driver lists it.
struct GuestBuffer {
  var address: UInt64
  var count: Int
  var isWritable = false

  static func readable(_ address: UInt64, _ count: Int) -> GuestBuffer {
    GuestBuffer(address: address, count: count)
  }
  static func writable(_ address: UInt64, _ count: Int) -> GuestBuffer {
    GuestBuffer(address: address, count: count, isWritable: true)
  }
}

/// The guest's side of a split virtqueue (virtio 1.3 §2.7).
final class GuestQueue {
  struct Used: Equatable {
    let head: UInt16
    let written: Int
  }

  let index: Int
  let size: Int
  let descriptors: UInt64
  let available: UInt64
  let used: UInt64
  private unowned let guest: VirtioGuest
  private var free: [UInt16]
  private var chains: [UInt16: [UInt16]] = [:]
  private(set) var nextAvailable: UInt16 = 0
  private(set) var nextUsed: UInt16 = 0
  private var kickedAvailable: UInt16 = 0
  private(set) var kicks = 0

  init(index: Int, size: Int, guest: VirtioGuest) {
    self.index = index
    self.size = size
    self.guest = guest
    descriptors = guest.allocate(16 * size)
    available = guest.allocate(6 + 2 * size)
    used = guest.allocate(6 + 8 * size)
    guest.store([UInt8](repeating: 0, count: 16 * size), at: descriptors)
    guest.store([UInt8](repeating: 0, count: 6 + 2 * size), at: available)
    guest.store([UInt8](repeating: 0, count: 6 + 8 * size), at: used)
    free = (0..<UInt16(size)).reversed()
  }

  func configure() {
    guest.write(0x30, UInt64(index))
    guest.write(0x38, UInt64(size))
    for (register, address) in [(UInt64(0x80), descriptors), (0x90, available), (0xA0, used)] {
      guest.write(register, address & 0xFFFF_FFFF)
      guest.write(register + 4, address >> 32)
    }
    guest.write(0x44, 1)
  }

  // MARK: - Raw rings

  func setDescriptor(_ number: Int, address: UInt64, count: UInt32, flags: UInt16, next: UInt16) {
    Self.setDescriptor(
      guest.slice(descriptors, 16 * size), number, address: address, count: count, flags: flags, next: next)
  }

  static func setDescriptor(
    _ table: GuestSlice, _ number: Int, address: UInt64, count: UInt32, flags: UInt16, next: UInt16
  ) {
    table.store(address, at: 16 * number)
    table.store(count, at: 16 * number + 8)
    table.store(flags, at: 16 * number + 12)
    table.store(next, at: 16 * number + 14)
  }

  /// Makes a chain available that begins at a descriptor, whatever that is.
  func offer(head: UInt16) {
    let ring = guest.slice(available, 6 + 2 * size)
    ring.store(head, at: 4 + 2 * (Int(nextAvailable) % size))
    nextAvailable &+= 1
    ring.storeReleasing16(nextAvailable, at: 2)
  }

  func setAvailableIndex(_ value: UInt16) { guest.slice(available, 4).storeReleasing16(value, at: 2) }

  // MARK: - Requests

  var freeCount: Int { free.count }

  /// Makes a request available and returns its head.
  @discardableResult
  func add(_ buffers: [GuestBuffer], indirect: Bool = false) -> UInt16 {
    let list = buffers.enumerated().map { position, buffer -> (UInt64, UInt32, UInt16) in
      let next: UInt16 = position + 1 < buffers.count ? 1 : 0
      return (buffer.address, UInt32(buffer.count), next | (buffer.isWritable ? 2 : 0))
    }
    let head: UInt16
    if indirect {
      let table = guest.slice(guest.allocate(16 * list.count), 16 * list.count)
      for (number, item) in list.enumerated() {
        Self.setDescriptor(
          table, number, address: item.0, count: item.1, flags: item.2, next: UInt16(number + 1))
      }
      head = free.removeLast()
      chains[head] = [head]
      setDescriptor(Int(head), address: table.address, count: UInt32(table.count), flags: 4, next: 0)
    } else {
      let numbers = list.map { _ in free.removeLast() }
      head = numbers[0]
      chains[head] = numbers
      for (position, item) in list.enumerated() {
        let next = position + 1 < numbers.count ? numbers[position + 1] : 0
        setDescriptor(
          Int(numbers[position]), address: item.0, count: item.1, flags: item.2, next: next)
      }
    }
    offer(head: head)
    return head
  }

  /// Notifies the device, if it wants that.
  func kick() {
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    let ring = guest.slice(used, 6 + 8 * size)
    let wanted: Bool
    if guest.features & VirtioGuest.eventIndex != 0 {
      let event = ring.loadAcquiring16(at: 4 + 8 * size)
      wanted = nextAvailable &- event &- 1 < nextAvailable &- kickedAvailable
    } else {
      wanted = ring.loadAcquiring16(at: 0) & 1 == 0
    }
    kickedAvailable = nextAvailable
    if wanted {
      kicks += 1
      guest.write(0x50, UInt64(index))
    }
  }

  /// Takes the next used request, if there is one.
  func take() -> Used? {
    let ring = guest.slice(used, 6 + 8 * size)
    guard ring.loadAcquiring16(at: 2) != nextUsed else { return nil }
    let element = 4 + 8 * (Int(nextUsed) % size)
    let head = UInt16(truncatingIfNeeded: ring.load(UInt32.self, at: element))
    nextUsed &+= 1
    free += chains.removeValue(forKey: head) ?? []
    return Used(head: head, written: Int(ring.load(UInt32.self, at: element + 4)))
  }

  /// Waits for the next used request.
  func wait() throws -> Used {
    var result: Used?
    _ = eventually {
      result = take()
      return result != nil
    }
    return try #require(result, "queue \(index) has no answer")
  }

  /// Sends one request and waits for its answer.
  @discardableResult
  func call(_ buffers: [GuestBuffer], indirect: Bool = false) throws -> Used {
    let head = add(buffers, indirect: indirect)
    kick()
    let used = try wait()
    #expect(used.head == head)
    return used
  }

  // MARK: - Interrupts

  /// Asks for an interrupt with the next used request; true when one is there already.
  func allowInterrupts() -> Bool {
    if guest.features & VirtioGuest.eventIndex != 0 {
      guest.slice(available, 6 + 2 * size).storeReleasing16(nextUsed, at: 4 + 2 * size)
    } else {
      guest.slice(available, 4).storeReleasing16(0, at: 0)
    }
    atomicMemoryFence(ordering: .sequentiallyConsistent)
    return guest.slice(used, 4).loadAcquiring16(at: 2) != nextUsed
  }

  func suppressInterrupts() {
    if guest.features & VirtioGuest.eventIndex == 0 {
      guest.slice(available, 4).storeReleasing16(1, at: 0)
    }
  }
}
