internal import CNBD
internal import HostSystem

/// What a server has: its exports, as it lists them (NBD_OPT_LIST) and tells of each (NBD_OPT_INFO).
package enum NBDListing {
  package struct Export: Equatable, Sendable {
    package let name: String
    /// Bytes; nil where the server did not say in time.
    package let size: UInt64?
    package let isReadOnly: Bool
  }

  /// Exports that are taken of a server's list.
  static let mostExports = 1024

  /// Lists a server's exports by name, within so many milliseconds after the connection was made; nil when it lists none
  /// to anybody. Names that a person could not type, and the export without a name, are left out. Throws `server`
  /// with what the server says.
  package static func exports(
    of location: NBDLocation, milliseconds: UInt64 = 10_000
  ) throws(DiskImageError) -> [Export]? {
    func failed(_ failure: NBDHandle.Failure) -> DiskImageError {
      .server(name: location.description, reason: failure.reason)
    }
    let wake: EventCounter
    let socket: Descriptor
    do throws(Errno) {
      wake = try EventCounter()
      socket = try location.connect(milliseconds: 5000)
    } catch {
      throw .server(name: location.description, reason: "the server cannot be reached: \(error)")
    }
    let deadline = monotonicNanoseconds() + milliseconds * 1_000_000
    do throws(NBDHandle.Failure) {
      let handle = try NBDHandle(export: "")
      try handle.beginNegotiating(socket, wake, until: deadline)
      guard let names = try handle.listNames(wake, until: deadline) else { return nil }
      var exports: [Export] = []
      for name in Set(names).sorted() {
        let told = try handle.inform(of: name, wake, until: deadline)
        exports.append(Export(name: name, size: told?.size, isReadOnly: told?.isReadOnly ?? false))
      }
      return exports
    } catch {
      throw failed(error)
    }
  }

  /// What a server tells of one export. Throws `server` with what it says, also when it has none of that name.
  package static func export(_ location: NBDLocation) throws(DiskImageError) -> Export {
    var limits = NBDLimits()
    limits.handshake = 5000
    let image = try NBDImage(location, readOnly: true, limits: limits)
    return Export(name: location.export, size: image.size, isReadOnly: image.isServerReadOnly)
  }

  /// Whether a name can be shown and typed.
  static func isPlain(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 255
      && name.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
  }
}

extension NBDHandle {
  /// What comes of an option, for libnbd to write to.
  private final class Answer {
    var names: [String] = []
    var isThere = false
    var error: Int32 = 0
  }

  /// Begins on a connected socket, and goes as far as where options are asked.
  fileprivate func beginNegotiating(
    _ socket: Descriptor, _ wake: EventCounter, until deadline: UInt64
  ) throws(Failure) {
    guard nbd_set_opt_mode(handle, true) == 0 else { throw .last }
    try begin(socket)
    // A server of the old kind is ready at once, and has one disk.
    while !isNegotiating, !isReady {
      guard !isOver else { throw Failure(.io, "the server ended the connection") }
      guard monotonicNanoseconds() < deadline else { throw Failure(.timedOut, "the server does not answer") }
      _ = try step(wake, until: deadline)
    }
  }

  private var isNegotiating: Bool { nbd_aio_is_negotiating(handle) == 1 }

  /// Names of exports; nil where the server does not list them.
  fileprivate func listNames(_ wake: EventCounter, until deadline: UInt64) throws(Failure) -> [String]? {
    guard isNegotiating else { return nil }
    let answer = Answer()
    targets.append(answer)
    let target = Unmanaged.passUnretained(answer).toOpaque()
    let list = nbd_list_callback(
      callback: { target, name, _ in
        guard let target, let name else { return 0 }
        let answer = Unmanaged<Answer>.fromOpaque(target).takeUnretainedValue()
        if answer.names.count < NBDListing.mostExports, let text = String(validatingCString: name),
          NBDListing.isPlain(text)
        {
          answer.names.append(text)
        }
        return 0
      }, user_data: target, free: nil)
    guard nbd_aio_opt_list(handle, list, Self.completion(target)) == 0 else { throw .last }
    try wait(for: answer, wake, until: deadline)
    return answer.error == 0 ? answer.names : nil
  }

  /// What a server tells of an export; nil when it has none of that name, or time is over.
  fileprivate func inform(
    of name: String, _ wake: EventCounter, until deadline: UInt64
  ) throws(Failure) -> (size: UInt64, isReadOnly: Bool)? {
    guard monotonicNanoseconds() < deadline, nbd_set_export_name(handle, name) == 0 else { return nil }
    let answer = Answer()
    targets.append(answer)
    let target = Unmanaged.passUnretained(answer).toOpaque()
    guard nbd_aio_opt_info(handle, Self.completion(target)) == 0 else { throw .last }
    try wait(for: answer, wake, until: deadline)
    let size = nbd_get_size(handle)
    guard answer.error == 0, size >= 0 else { return nil }
    return (UInt64(size), nbd_is_read_only(handle) == 1)
  }

  private static func completion(_ target: UnsafeMutableRawPointer) -> nbd_completion_callback {
    nbd_completion_callback(
      callback: { target, error in
        guard let target else { return 0 }
        let answer = Unmanaged<Answer>.fromOpaque(target).takeUnretainedValue()
        answer.error = error?.pointee ?? 0
        answer.isThere = true
        return 0
      }, user_data: target, free: nil)
  }

  private func wait(
    for answer: Answer, _ wake: EventCounter, until deadline: UInt64
  ) throws(Failure) {
    while !answer.isThere || !isNegotiating {
      guard !isOver else { throw Failure(.io, "the server ended the connection") }
      guard monotonicNanoseconds() < deadline else { throw Failure(.timedOut, "the server does not answer") }
      _ = try step(wake, until: deadline)
    }
  }
}
