internal import HostSystem
internal import Synchronization

/// A socket attached to a port, and how far its two directions have come. It outlives a reset of the
/// device, but not the next socket of its port.
final class ConsoleAttachment: Sendable {
  let channel: HostChannel
  /// The host has sent all it will.
  private let inputEnded = Atomic(false)
  /// Nothing can or will be sent to the host any more.
  private let outputEnded = Atomic(false)

  init(_ socket: Descriptor) throws(Errno) { channel = try HostChannel(socket) }

  var hasInputEnded: Bool {
    get { inputEnded.load(ordering: .relaxed) }
    set { inputEnded.store(newValue, ordering: .relaxed) }
  }

  var hasOutputEnded: Bool {
    get { outputEnded.load(ordering: .relaxed) }
    set { outputEnded.store(newValue, ordering: .relaxed) }
  }
}
