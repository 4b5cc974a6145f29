internal import Glibc
internal import Synchronization

/// A socket at a path of the file system, on which programs of the same user connect. The path goes with the
/// object, unless another process was given the socket.
package final class UnixListener: Sendable {
  /// Why there is no socket at a path.
  package enum Failure: Error, Equatable, Sendable {
    /// Somebody listens there.
    case inUse
    /// Something lies there that is no socket.
    case isNoSocket
    case refused(Errno)
  }

  package let path: String
  /// Whether a socket lay there on which nobody listened any more; it was replaced.
  package let hasReplaced: Bool
  package let descriptor: Descriptor
  private let kind: UnixSocket.Kind
  /// What the path leads to as long as it is ours.
  private let identity: FileIdentity?
  private let isRemoved = Atomic(false)

  private struct FileIdentity: Equatable, Sendable {
    let device: UInt64
    let number: UInt64
    let isSocket: Bool

    init?(_ path: String) {
      var status = stat()
      guard lstat(path, &status) == 0 else { return nil }
      device = UInt64(status.st_dev)
      number = UInt64(status.st_ino)
      isSocket = status.st_mode & S_IFMT == S_IFSOCK
    }
  }

  /// Listens at `path`. A socket that a killed program left there is replaced.
  package init(path: String, _ kind: UnixSocket.Kind = .stream) throws(Failure) {
    self.path = path
    self.kind = kind
    var hasReplaced = false
    do throws(Errno) {
      descriptor = try UnixSocket.unconnected(kind)
      // The file at the path takes the socket's rights: its owner's alone.
      fchmod(descriptor.raw, 0o600)
    } catch { throw .refused(error) }
    do throws(Errno) { try Self.bind(descriptor, path) } catch {
      guard error == Errno(EADDRINUSE) else { throw .refused(error) }
      try Self.removeStale(path, kind)
      hasReplaced = true
      do throws(Errno) { try Self.bind(descriptor, path) } catch { throw .refused(error) }
    }
    self.hasReplaced = hasReplaced
    identity = FileIdentity(path)
    let raw = descriptor.raw
    do throws(Errno) { _ = try retrying { Int(listen(raw, 128)) } } catch {
      unlink(path)
      throw .refused(error)
    }
  }

  deinit { remove() }

  private static func bind(_ socket: Descriptor, _ path: String) throws(Errno) {
    _ = try retrying { UnixSocket.withAddress(path) { Int(Glibc.bind(socket.raw, $0, $1)) } }
  }

  private static func removeStale(_ path: String, _ kind: UnixSocket.Kind) throws(Failure) {
    guard FileIdentity(path)?.isSocket == true else { throw .isNoSocket }
    do throws(Errno) { _ = try UnixSocket.connect(toPath: path, kind) } catch {
      switch error.code {
      case ECONNREFUSED:
        unlink(path)
        return
      case EAGAIN: throw .inUse
      default: throw .refused(error)
      }
    }
    throw .inUse
  }

  /// The next program that connected, as a nonblocking socket; nil when there is none.
  package func accept() throws(Errno) -> UnixSocket? {
    try UnixSocket.accept(on: descriptor)
  }

  /// Leaves the path to the process that was given the descriptor: it stays there, also when that has ended.
  package func leave() { isRemoved.store(true, ordering: .relaxed) }

  /// Removes the path, unless it leads to something else by now.
  package func remove() {
    guard !isRemoved.exchange(true, ordering: .relaxed), let identity, FileIdentity(path) == identity else {
      return
    }
    unlink(path)
  }
}
