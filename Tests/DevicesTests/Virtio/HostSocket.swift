import Glibc
import HostSystem

/// A pair of connected Unix sockets: one for a device, one for the test.
struct HostSocket {
  /// The device's end; closed on this side when it was handed over.
  let device: Descriptor
  private let other: Box

  /// Lets the test close its end before its owner goes.
  private final class Box {
    var descriptor: Descriptor?
    init(_ descriptor: Descriptor) { self.descriptor = descriptor }
  }

  init(_ type: __socket_type) {
    var ends: [Int32] = [0, 0]
    precondition(socketpair(AF_UNIX, Int32(type.rawValue), 0, &ends) == 0)
    device = Descriptor(owning: ends[0])
    other = Box(Descriptor(owning: ends[1]))
    try! other.descriptor!.setNonblocking(true)
  }

  /// The same pair, of which the device's end was handed to another process: its closing there has to show.
  init(keepingTestEndOf pair: HostSocket) {
    device = try! Descriptor.open("/dev/null", O_RDONLY)
    other = pair.other
  }

  var raw: Int32 { other.descriptor!.raw }

  func close() { other.descriptor = nil }

  func shutDownWriting() { shutdown(raw, Int32(SHUT_WR)) }

  /// Sends what fits now and returns how much that was.
  @discardableResult
  func send(_ bytes: [UInt8]) -> Int { max(0, Glibc.send(raw, bytes, bytes.count, Int32(MSG_NOSIGNAL))) }

  /// What is there now, at most `limit` bytes; nil when there is nothing, empty at the end.
  func receive(_ limit: Int = 1 << 17) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: limit)
    let count = recv(raw, &bytes, limit, 0)
    return count < 0 ? nil : Array(bytes[..<count])
  }

  /// Waits for the next message or bytes; empty at the end or after a long time.
  func wait(_ limit: Int = 1 << 17) -> [UInt8] {
    var result: [UInt8]?
    _ = eventually {
      result = receive(limit)
      return result != nil
    }
    return result ?? []
  }

  /// Waits for exactly so many bytes of a stream.
  func wait(exactly count: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    while bytes.count < count {
      let more = wait(count - bytes.count)
      if more.isEmpty { break }
      bytes += more
    }
    return bytes
  }
}
