/// What a machine and the process that opens sockets for it tell each other, one packet each. A machine that has
/// closed itself in can neither accept nor connect: another process does both, and hands the sockets over.
///
/// From the machine: the guest wants ``port`` of the host; ``request`` is any number but 0. To the machine: the answer
/// to a request, with a connected socket or, when there is nobody at that port, without; or, with the request 0, a
/// socket on which a program of the host connected.
package struct GuestPortMessage: Equatable, Sendable {
  /// Bytes of a packet: two little-endian numbers.
  package static let size = 8

  package var request: UInt32
  package var port: UInt32

  package init(request: UInt32, port: UInt32 = 0) {
    self.request = request
    self.port = port
  }

  /// Takes a packet apart; nil when it is none.
  package init?(decoding bytes: [UInt8]) {
    guard bytes.count == Self.size else { return nil }
    func number(_ start: Int) -> UInt32 {
      bytes[start..<start + 4].reversed().reduce(0) { $0 << 8 | UInt32($1) }
    }
    request = number(0)
    port = number(4)
  }

  package var encoded: [UInt8] {
    [request, port].flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
  }
}
