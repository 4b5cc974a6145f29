internal import Glibc
internal import HostSystem

/// A stream that listens to a serial console and writes into it.
struct ConsoleStream {
  /// Bytes that wait for a slow reader; beyond, the oldest go.
  private static let capacity = 64 << 10
  /// Bytes that are read at once.
  private static let readSize = 4096

  /// Nonblocking.
  let socket: Descriptor
  /// Output that it has not taken yet.
  private(set) var pending: [UInt8] = []
  /// It sends nothing more, and may still listen.
  private(set) var hasInputEnded = false
  private(set) var isGone = false
  /// What it is watched for.
  var interest: Poller.Interest = .read

  init(_ socket: Descriptor) { self.socket = socket }

  mutating func add(_ output: ArraySlice<UInt8>) {
    pending += output
    if pending.count > Self.capacity { pending.removeFirst(pending.count - Self.capacity * 3 / 4) }
  }

  /// Writes as much as it takes now.
  mutating func flush() {
    var done = 0
    while done < pending.count, !isGone {
      let count = pending[done...].withUnsafeBytes {
        send(socket.raw, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if count < 0 {
        if errno == EAGAIN { break }
        if errno == EINTR { continue }
        isGone = true
      } else {
        done += count
      }
    }
    pending.removeFirst(done)
  }

  /// What it has for the guest, after it became ready.
  mutating func receive(_ readiness: Poller.Interest) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: Self.readSize)
    let count = buffer.withUnsafeMutableBytes { read(socket.raw, $0.baseAddress, $0.count) }
    if count > 0 { return Array(buffer[..<count]) }
    if count == 0 {
      hasInputEnded = true
    } else if errno != EAGAIN, errno != EINTR {
      isGone = true
    }
    // Both directions are closed.
    if readiness.contains(.hangUp) { isGone = true }
    return []
  }
}
