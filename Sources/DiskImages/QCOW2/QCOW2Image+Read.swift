package import HostSystem

extension QCOW2Image {
  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try checkRange(offset, UInt64(buffer.count))
    try read(nil, of: size, at: offset, into: buffer)
  }

  /// Reads of a disk of `size` bytes, the active one or what a snapshot's L1 table says.
  func read(
    _ snapshot: [UInt64]?, of size: UInt64, at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    guard !buffer.isEmpty else { return }
    let range = offset..<offset + UInt64(buffer.count)
    let clusters = clusters(range)
    var ticket: QCOW2Operations.Ticket = 0
    var first: Run
    (ticket, first) = try lock.withLock { () throws(Errno) in
      let ticket = operations.enter(clusters, exclusive: false, lock)
      do throws(Errno) {
        return (ticket, try run(snapshot ?? l1, at: offset, to: range.upperBound))
      } catch {
        operations.leave(ticket, lock)
        throw error
      }
    }
    defer { lock.withLock { operations.leave(ticket, lock) } }
    var position = offset
    while true {
      let part = UnsafeMutableRawBufferPointer(
        rebasing: buffer[Int(position - offset)..<Int(first.end - offset)])
      try read(first.place, of: size, at: position, into: part)
      position = first.end
      guard position < range.upperBound else { return }
      let next = position
      first = try lock.withLock { () throws(Errno) in try run(snapshot ?? l1, at: next, to: range.upperBound)
      }
    }
  }

  /// Reads from where a run says. The caller is at work on the cluster.
  private func read(
    _ place: Run.Place, of size: UInt64, at position: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    switch place {
    case .data(let host, _): try file.read(at: host, into: buffer)
    case .zero: buffer.zero()
    case .absent: try readBacking(of: size, at: position, into: buffer)
    case .compressed(let descriptor):
      let range = QCOW2Cluster.compressedRange(descriptor, geometry)
      try compressor.read(
        descriptor, range, from: file, skipping: Int(position & geometry.clusterMask), into: buffer)
    }
  }

  /// Reads a part of one cluster from where a state, which may be an older one, says.
  func read(
    _ state: QCOW2Cluster, _ range: Range<UInt64>, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    if let descriptor = state.compressed {
      return try read(.compressed(descriptor), of: size, at: range.lowerBound, into: buffer)
    }
    let base = range.lowerBound & ~geometry.clusterMask
    var position = range.lowerBound
    while position < range.upperBound {
      let sub = Int((position - base) >> geometry.subclusterBits)
      let end = min(
        range.upperBound, base + UInt64(state.endOfRun(from: sub, geometry)) << geometry.subclusterBits)
      let part = UnsafeMutableRawBufferPointer(
        rebasing: buffer[Int(position - range.lowerBound)..<Int(end - range.lowerBound)])
      switch state.content(ofSubcluster: sub) {
      case .data: try file.read(at: state.host + (position - base), into: part)
      case .zero: part.zero()
      case .absent: try readBacking(of: size, at: position, into: part)
      }
      position = end
    }
  }

  /// Whether a part of one cluster is known to read as zero without looking at contents.
  func readsAsZero(_ state: QCOW2Cluster, _ range: Range<UInt64>) -> Bool {
    guard state.compressed == nil else { return false }
    let base = range.lowerBound & ~geometry.clusterMask
    let first = Int((range.lowerBound - base) >> geometry.subclusterBits)
    let last = Int((range.upperBound - 1 - base) >> geometry.subclusterBits)
    for sub in first...last {
      switch state.content(ofSubcluster: sub) {
      case .data: return false
      case .zero: break
      case .absent:
        let start = max(range.lowerBound, base + UInt64(sub) << geometry.subclusterBits)
        if start < backingEnd { return false }
      }
    }
    return true
  }
}
