internal import Glibc

/// A failed system call: the kernel's error number (errno(3)).
package struct Errno: Error, Equatable, Sendable, CustomStringConvertible {
  package let code: Int32

  @inlinable package init(_ code: Int32) { self.code = code }

  /// The C library's words for the code, such as `No space left on device`.
  package var description: String { String(cString: strerror(code)) }

  package static let noMemory = Errno(ENOMEM)
  package static let invalid = Errno(EINVAL)
  package static let again = Errno(EAGAIN)
  package static let interrupted = Errno(EINTR)
  package static let timedOut = Errno(ETIMEDOUT)
  package static let noSpace = Errno(ENOSPC)
  package static let notFound = Errno(ENOENT)
  package static let exists = Errno(EEXIST)
  package static let brokenPipe = Errno(EPIPE)
  package static let io = Errno(EIO)

  /// Whether there is no room on a disk, or no more of it for this user.
  package var isWantOfRoom: Bool { self == .noSpace || code == EDQUOT }
}

/// Turns the C boundary's convention (a negative error number on failure) into a throw.
@discardableResult
package func check(_ result: Int32) throws(Errno) -> Int32 {
  guard result >= 0 else { throw Errno(-result) }
  return result
}

/// As `check(_:)`, for byte counts.
@discardableResult
package func check(_ result: Int) throws(Errno) -> Int {
  guard result >= 0 else { throw Errno(Int32(-result)) }
  return result
}

/// Runs a C library call that reports failure by a negative result and errno, again after EINTR.
@discardableResult
package func retrying(_ call: () -> Int) throws(Errno) -> Int {
  while true {
    let result = call()
    if result >= 0 { return result }
    let code = errno
    if code != EINTR { throw Errno(code) }
  }
}
