import KVM
import Synchronization

/// A bus that keeps what it was asked, answers as it is told, and tells of what it sees.
final class RecordingBus: KVMBus {
  enum Access: Equatable, Sendable {
    case portRead(UInt16, width: Int)
    case portWrite(UInt16, width: Int, UInt32)
    case read(UInt64, width: Int)
    case write(UInt64, width: Int, UInt64)
    case endOfInterrupt(UInt8)
  }

  private let log = Mutex<[Access]>([])
  private let answer: @Sendable (Access) -> UInt64
  /// In a structure, because a function that is read out of a mutex gains a layer each time.
  private struct Notice {
    var body: @Sendable (Access) -> Void = { _ in }
  }
  private let notice = Mutex(Notice())

  init(answer: @escaping @Sendable (Access) -> UInt64 = { _ in 0 }) {
    self.answer = answer
  }

  var accesses: [Access] { log.withLock { $0 } }
  func forget() { log.withLock { $0 = [] } }
  /// Has `body` called on the CPU's thread after each access.
  func onAccess(_ body: @escaping @Sendable (Access) -> Void) { notice.withLock { $0.body = body } }

  private func note(_ access: Access) {
    log.withLock { $0.append(access) }
    let notice = notice.withLock { $0 }
    notice.body(access)
  }

  func readPort(_ port: UInt16, width: Int) -> UInt32 {
    let access = Access.portRead(port, width: width)
    note(access)
    return UInt32(truncatingIfNeeded: answer(access))
  }

  func writePort(_ port: UInt16, width: Int, value: UInt32) { note(.portWrite(port, width: width, value)) }

  func read(address: UInt64, width: Int) -> UInt64 {
    let access = Access.read(address, width: width)
    note(access)
    return answer(access)
  }

  func write(address: UInt64, width: Int, value: UInt64) { note(.write(address, width: width, value)) }
  func endOfInterrupt(vector: UInt8) { note(.endOfInterrupt(vector)) }
}
