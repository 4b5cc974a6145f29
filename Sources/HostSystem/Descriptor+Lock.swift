internal import CHost

extension Descriptor {
  /// Locks the whole file, shared or exclusive, without waiting: `EAGAIN` when another lock stands
  /// against it. The lock belongs to the open file description, so it travels with the descriptor to
  /// other processes and lasts until all of them have closed it (fcntl(2), F_OFD_SETLK).
  package func lock(exclusive: Bool) throws(Errno) { try check(volary_lock_file(raw, exclusive)) }
}
