import KVM
import Synchronization

/// A PC with nothing but a transmitter at COM1: enough for what a kernel says with `earlyprintk`.
final class EarlyConsole: KVMBus {
  private struct State {
    var text: [UInt8] = []
    var end: String?
    var onEnd: (@Sendable () -> Void)?
  }
  private let state = Mutex(State())

  var text: String { state.withLock { String(decoding: $0.text, as: UTF8.self) } }

  /// Has `body` called at the end of the first line in which `mark` stands.
  func after(_ mark: String, _ body: @escaping @Sendable () -> Void) {
    state.withLock {
      $0.end = mark
      $0.onEnd = body
    }
  }

  func readPort(_ port: UInt16, width: Int) -> UInt32 {
    // Line status: both transmitter registers are empty.
    port == 0x3FD ? 0x60 : .max
  }

  func writePort(_ port: UInt16, width: Int, value: UInt32) {
    guard port == 0x3F8 else { return }
    let body = state.withLock { (state) -> (@Sendable () -> Void)? in
      state.text.append(UInt8(truncatingIfNeeded: value))
      guard value == 10, let end = state.end else { return nil }
      let line = state.text.dropLast().suffix(while: { $0 != 10 })
      return String(decoding: line, as: UTF8.self).contains(end) ? state.onEnd : nil
    }
    body?()
  }

  func read(address: UInt64, width: Int) -> UInt64 { .max }
  func write(address: UInt64, width: Int, value: UInt64) {}
  func endOfInterrupt(vector: UInt8) {}
}

extension BidirectionalCollection {
  /// The longest end of it whose elements all satisfy `condition`.
  fileprivate func suffix(while condition: (Element) -> Bool) -> SubSequence {
    var start = endIndex
    while start > startIndex, condition(self[index(before: start)]) { formIndex(before: &start) }
    return self[start...]
  }
}
