import Devices
import HostSystem
import Synchronization

/// A disk's bytes in an array, with a log of what was asked and errors on demand.
final class MemoryStorage: BlockStorage {
  struct State {
    var bytes: [UInt8]
    var log: [String] = []
    var failure: Errno?
  }

  let state: Mutex<State>
  let isReadOnly: Bool
  /// Runs within each read, on the disk's thread.
  let onRead: @Sendable () -> Void

  init(bytes: [UInt8], isReadOnly: Bool = false, onRead: @escaping @Sendable () -> Void = {}) {
    state = Mutex(State(bytes: bytes))
    self.isReadOnly = isReadOnly
    self.onRead = onRead
  }

  var size: UInt64 { state.withLock { UInt64($0.bytes.count) } }
  var bytes: [UInt8] { state.withLock { $0.bytes } }
  var log: [String] { state.withLock { $0.log } }

  func fail(with errno: Errno?) { state.withLock { $0.failure = errno } }

  private func perform(_ name: String, _ body: (inout State) -> Void) throws(Errno) {
    let failure: Errno? = state.withLock { state in
      if let failure = state.failure { return failure }
      state.log.append(name)
      body(&state)
      return nil
    }
    if let failure { throw failure }
  }

  func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno) {
    onRead()
    try perform("read \(offset) \(target.count)") { state in
      target.copyBytes(from: state.bytes[Int(offset)..<Int(offset) + target.count])
    }
  }

  func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno) {
    try perform("write \(offset) \(source.count)") { state in
      state.bytes.replaceSubrange(Int(offset)..<Int(offset) + source.count, with: source)
    }
  }

  func flush() throws(Errno) { try perform("flush") { _ in } }

  func discard(at offset: UInt64, count: UInt64) throws(Errno) {
    try perform("discard \(offset) \(count)") { _ in }
  }

  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    try perform("zero \(offset) \(count)\(mayUnmap ? " unmap" : "")") { state in
      for index in Int(offset)..<Int(offset + count) { state.bytes[index] = 0 }
    }
  }
}
