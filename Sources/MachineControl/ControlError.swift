package import HostSystem

/// Why the control socket could not be used.
package enum ControlError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The other end is gone.
  case closed
  /// No reply came in time.
  case timedOut
  /// The other end sent what is no message.
  case malformed(WireError)
  /// The other end sent more events than anyone reads, or a reply to nothing.
  case misbehaved
  /// The machine's process would not do it.
  case refused(ControlFailure)
  case system(Errno)

  package var description: String {
    switch self {
    case .closed: "the machine's process closed its control socket"
    case .timedOut: "the machine's process does not answer"
    case .malformed(let error): "the machine's process sent a malformed packet (\(error))"
    case .misbehaved: "the machine's process does not keep to the control protocol"
    case .refused(let failure): failure.description
    case .system(let error): "control socket: \(error)"
    }
  }

  /// EPIPE and ECONNRESET mean that the other end is gone.
  init(_ error: Errno) {
    self = error == .brokenPipe || error == Errno(104) ? .closed : .system(error)
  }
}
