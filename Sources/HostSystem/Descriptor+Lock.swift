internal import CHost
internal import Glibc

extension Descriptor {
  /// Looks at a lock until one that may be let go of is: half a second, with ``lockPause`` between.
  package static let patientAttempts = 50
  /// Microseconds.
  private static let lockPause: UInt32 = 10_000

  /// Locks the whole file, shared or exclusive: `EAGAIN` or `EACCES` when another lock stands against it. The lock
  /// belongs to the open file description, so it travels with the descriptor to other processes and lasts until all of
  /// them have closed it (fcntl(2), F_OFD_SETLK).
  ///
  /// It does not wait, but with ``patientAttempts``: a process that was just begun has the descriptors of the one that
  /// began it, and their locks, until it has become its program, so that a file may be locked for a moment by somebody
  /// who has let go of it.
  package func lock(exclusive: Bool, attempts: Int = 1) throws(Errno) {
    for attempt in 1...max(1, attempts) {
      let error = Errno(-volary_lock_file(raw, exclusive))
      if error.code == 0 { return }
      guard attempt < attempts, error.isOfAnotherLock else { throw error }
      usleep(Self.lockPause)
    }
  }
}

extension Errno {
  /// Whether ``Descriptor/lock(exclusive:attempts:)`` found another lock.
  package var isOfAnotherLock: Bool { self == .again || self == Errno(EACCES) }
}
