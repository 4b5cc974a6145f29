internal import CNBD
internal import CNBDLibraries
internal import Glibc
internal import HostSystem

/// A connection to a server, as libnbd keeps it. One thread's: nothing here waits but ``step(_:until:)``.
final class NBDHandle {
  /// What libnbd could not do, with its words for it.
  struct Failure: Error {
    let number: Errno
    let reason: String

    init(_ number: Errno, _ reason: String) {
      self.number = number
      self.reason = reason
    }

    /// Of the call before, in this thread.
    static var last: Failure {
      let number = nbd_get_errno()
      let text = nbd_get_error().map { String(cString: $0) } ?? "it failed"
      // What is before the colon is a function's name.
      let parts = text.split(separator: ": ", maxSplits: 1)
      let reason = parts.count > 1 && parts[0].hasPrefix("nbd_") ? parts[1] : text[...]
      let shown = reason.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }.prefix(300)
      var line = String.UnicodeScalarView()
      line.append(contentsOf: shown)
      return Failure(number == 0 ? .io : Errno(number), String(line))
    }
  }

  private static let allocation = "base:allocation"

  let handle: OpaquePointer
  /// What libnbd may write to for as long as the handle is there.
  var targets: [AnyObject] = []

  init(export: String) throws(Failure) {
    guard let handle = nbd_create() else { throw .last }
    self.handle = handle
    guard nbd_set_export_name(handle, export) == 0, nbd_add_meta_context(handle, Self.allocation) == 0,
      nbd_set_tls(handle, Int32(LIBNBD_TLS_DISABLE)) == 0
    else { throw .last }
  }

  /// Afterwards no buffer of a command is touched any more.
  deinit { nbd_close(handle) }

  // MARK: - Connecting

  /// Begins on a connected socket.
  func begin(_ socket: Descriptor) throws(Failure) {
    // libnbd closes what it is given, whatever comes of it.
    let copy = fcntl(socket.raw, F_DUPFD_CLOEXEC, 3)
    guard copy >= 0 else { throw Failure(Errno(errno), "the socket cannot be used: \(Errno(errno))") }
    guard nbd_aio_connect_socket(handle, copy) == 0 else { throw .last }
  }

  /// Begins to connect by TLS.
  func begin(host: String, port: UInt16, certificates: String?) throws(Failure) {
    guard volary_nbd_has_tls() else {
      throw Failure(Errno(ENOTSUP), "TLS needs GnuTLS: apt-get install libgnutls30")
    }
    if let certificates {
      guard nbd_set_tls_certificates(handle, certificates) == 0 else { throw .last }
    }
    guard nbd_set_tls(handle, Int32(LIBNBD_TLS_REQUIRE)) == 0, nbd_set_tls_verify_peer(handle, true) == 0,
      nbd_aio_connect_tcp(handle, host, String(port)) == 0
    else { throw .last }
  }

  var isReady: Bool { nbd_aio_is_ready(handle) == 1 || nbd_aio_is_processing(handle) == 1 }
  /// Nothing more will come of it.
  var isOver: Bool { nbd_aio_is_dead(handle) == 1 || nbd_aio_is_closed(handle) == 1 }

  /// What the server says of the export, once it is ready.
  func export() throws(Failure) -> NBDExport {
    let size = nbd_get_size(handle)
    guard size >= 0 else { throw .last }
    guard size > 0 else { throw Failure(.invalid, "the export is empty") }
    func flag(_ value: Int32) throws(Failure) -> Bool {
      guard value >= 0 else { throw .last }
      return value == 1
    }
    let smallest = nbd_get_block_size(handle, Int32(LIBNBD_SIZE_MINIMUM))
    let largest = nbd_get_block_size(handle, Int32(LIBNBD_SIZE_MAXIMUM))
    guard smallest >= 0, largest >= 0 else { throw .last }
    var alignment = UInt64(smallest)
    // Servers that say nothing take any byte as a rule; one whose disk does not end with a sector does.
    if alignment == 0 {
      alignment = UInt64(size) % NBDExport.usualAlignment == 0 ? NBDExport.usualAlignment : 1
    }
    guard alignment & (alignment - 1) == 0, alignment <= NBDExport.largestAlignment else {
      throw Failure(.invalid, "it wants blocks of \(alignment) bytes, which the protocol does not know")
    }
    let most = largest == 0 ? NBDExport.usualMostBytes : min(UInt64(largest), NBDExport.usualMostBytes)
    return NBDExport(
      size: UInt64(size), isReadOnly: try flag(nbd_is_read_only(handle)),
      canFlush: try flag(nbd_can_flush(handle)), canForce: try flag(nbd_can_fua(handle)),
      canTrim: try flag(nbd_can_trim(handle)), canZero: try flag(nbd_can_zero(handle)),
      tellsExtents: try flag(nbd_can_meta_context(handle, Self.allocation)), alignment: alignment,
      mostBytes: max(alignment, most / alignment * alignment))
  }

  // MARK: - Moving bytes

  /// Waits until the socket is ready for what comes next, and does that, or until `wake` is signalled, or until the
  /// moment on the monotonic clock. Whether the server sent or took something.
  func step(_ wake: EventCounter, until deadline: UInt64) throws(Failure) -> Bool {
    let socket = nbd_aio_get_fd(handle)
    // A command was taken, and its sending ended the connection.
    guard socket >= 0, !isOver else { throw Failure(Errno(ENOTCONN), "the server ended the connection") }
    let direction = nbd_aio_get_direction(handle)
    let reads = direction & UInt32(LIBNBD_AIO_DIRECTION_READ) != 0
    let writes = direction & UInt32(LIBNBD_AIO_DIRECTION_WRITE) != 0
    let interest = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0)
    var entries = [
      pollfd(fd: wake.descriptor.raw, events: Int16(POLLIN), revents: 0),
      pollfd(fd: socket, events: Int16(interest), revents: 0),
    ]
    let now = monotonicNanoseconds()
    let milliseconds = deadline > now ? min((deadline - now) / 1_000_000 + 1, 60_000) : 0
    guard poll(&entries, nfds_t(entries.count), Int32(milliseconds)) > 0 else { return false }
    let events = Int32(entries[1].revents)
    let hasEnded = events & (POLLHUP | POLLERR | POLLNVAL) != 0
    if reads, events & POLLIN != 0 || hasEnded {
      guard nbd_aio_notify_read(handle) == 0 else { throw .last }
      return true
    }
    if writes, events & POLLOUT != 0 || hasEnded {
      guard nbd_aio_notify_write(handle) == 0 else { throw .last }
      return true
    }
    guard !hasEnded else { throw Failure(Errno(ENOTCONN), "the server ended the connection") }
    return false
  }

  /// Tells the server that nothing more will come.
  func disconnect() { _ = nbd_aio_disconnect(handle, 0) }

  // MARK: - Commands

  /// Sends a request, or has it wait until the socket takes it. Its cookie.
  func send(_ request: NBDRequest, forced: Bool) throws(Failure) -> UInt64 {
    let flags = forced ? UInt32(LIBNBD_CMD_FLAG_FUA) : 0
    let none = nbd_completion_callback()
    let cookie: Int64
    switch request.operation {
    case .read(let buffer):
      guard let start = buffer.baseAddress else { throw Failure(.invalid, "there is no buffer") }
      cookie = nbd_aio_pread(handle, start, buffer.count, request.offset, none, 0)
    case .write(let buffer):
      guard let start = buffer.baseAddress else { throw Failure(.invalid, "there is no buffer") }
      cookie = nbd_aio_pwrite(handle, start, buffer.count, request.offset, none, flags)
    case .zero(let mayUnmap):
      let zero = flags | (mayUnmap ? 0 : UInt32(LIBNBD_CMD_FLAG_NO_HOLE))
      cookie = nbd_aio_zero(handle, request.count, request.offset, none, zero)
    case .trim: cookie = nbd_aio_trim(handle, request.count, request.offset, none, flags)
    case .flush: cookie = nbd_aio_flush(handle, none, 0)
    case .extents:
      request.extents = []
      // The request is kept for as long as its connection is.
      let target = nbd_extent_callback(
        callback: Self.takeExtents, user_data: Unmanaged.passUnretained(request).toOpaque(), free: nil)
      cookie = nbd_aio_block_status(handle, request.count, request.offset, target, none, 0)
    }
    guard cookie > 0 else { throw .last }
    return UInt64(cookie)
  }

  /// Pairs of 32 bits: a length and its flags.
  private static let takeExtents:
    @convention(c) (
      UnsafeMutableRawPointer?, UnsafePointer<CChar>?, UInt64, UnsafeMutablePointer<UInt32>?, Int,
      UnsafeMutablePointer<Int32>?
    ) -> Int32 = { request, context, offset, entries, count, _ in
      guard let request, let context, let entries, strcmp(context, "base:allocation") == 0 else { return 0 }
      let asked = Unmanaged<NBDRequest>.fromOpaque(request).takeUnretainedValue()
      guard asked.extents.isEmpty, offset == asked.offset else { return 0 }
      for index in 0..<min(max(0, count) / 2, NBDRequest.mostExtents) {
        asked.extents.append((entries[2 * index], entries[2 * index + 1]))
      }
      return 0
    }

  /// The next command that has ended, by its cookie, and what came of it.
  func nextEnded() -> (cookie: UInt64, failure: Errno?)? {
    let cookie = nbd_aio_peek_command_completed(handle)
    guard cookie > 0 else { return nil }
    let ended = nbd_aio_command_completed(handle, UInt64(cookie))
    return (UInt64(cookie), ended == 1 ? nil : Failure.last.number)
  }
}
