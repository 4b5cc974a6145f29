internal import CHost
internal import Glibc

extension Descriptor {
  /// Half a second, with ``lockPause`` between.
  private static let lockAttempts = 50
  /// Microseconds.
  private static let lockPause: UInt32 = 10_000

  /// Locks the whole file, shared or exclusive: `EAGAIN` or `EACCES` when another lock stands against it. The lock
  /// belongs to the open file description, so it travels with the descriptor to other processes and lasts until all of
  /// them have closed it (fcntl(2), F_OFD_SETLK).
  ///
  /// A process that was just begun has the descriptors of the one that began it, and their locks, until it has become
  /// its program: for a moment a file may be locked by somebody who has let go of it, which is waited for `patiently`.
  package func lock(exclusive: Bool, patiently: Bool = true) throws(Errno) {
    let attempts = patiently ? Self.lockAttempts : 1
    for attempt in 1...attempts {
      let error = Errno(-volary_lock_file(raw, exclusive))
      if error.code == 0 { return }
      guard attempt < attempts, error.isOfAnotherLock else { throw error }
      usleep(Self.lockPause)
    }
  }
}

extension Errno {
  /// Whether ``Descriptor/lock(exclusive:patiently:)`` found another lock.
  package var isOfAnotherLock: Bool { self == .again || self == Errno(EACCES) }
}
