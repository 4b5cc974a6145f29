package import HostSystem

/// A stretch of what one layer alone has.
package struct DiskLayerExtent: Equatable, Sendable {
  package enum Content: Sendable {
    case data
    case zero
    /// Whatever is underneath.
    case absent
  }

  package let content: Content
  /// The byte behind the last.
  package let end: UInt64

  package init(_ content: Content, end: UInt64) {
    self.content = content
    self.end = end
  }
}

extension QCOW2Image {
  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    try extent(nil, of: size, at: offset, limit: limit)
  }

  /// Of the active disk, or of what a snapshot's L1 table says.
  func extent(
    _ snapshot: [UInt64]?, of size: UInt64, at offset: UInt64, limit: UInt64
  ) throws(Errno) -> DiskExtent {
    let own = try ownExtent(snapshot, of: size, at: offset, limit: limit)
    switch own.content {
    case .data: return DiskExtent(.data, end: own.end)
    case .zero: return DiskExtent(.zero, end: own.end)
    case .absent:
      let end = min(backing?.size ?? 0, size)
      guard let backing, offset < end else { return DiskExtent(.zero, end: own.end) }
      let under = try backing.extent(at: offset, limit: min(own.end, end))
      // Behind the backing image's end there are zeroes.
      return under.content == .zero && under.end == end && own.end > end
        ? DiskExtent(.zero, end: own.end) : under
    }
  }

  /// What this layer has from a byte offset inside the disk on, without what is underneath, as
  /// ``DiskImage/extent(at:limit:)`` says it.
  package func ownExtent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskLayerExtent {
    try ownExtent(nil, of: size, at: offset, limit: limit)
  }

  private func ownExtent(
    _ snapshot: [UInt64]?, of size: UInt64, at offset: UInt64, limit: UInt64
  ) throws(Errno) -> DiskLayerExtent {
    let limit = min(limit, size)
    guard offset < limit else { throw .invalid }
    return try lock.withLock { () throws(Errno) in try extent(snapshot ?? l1, at: offset, limit: limit) }
  }

  /// The caller holds the lock.
  func extent(_ l1: [UInt64], at offset: UInt64, limit: UInt64) throws(Errno) -> DiskLayerExtent {
    func content(_ place: Run.Place) -> DiskLayerExtent.Content {
      switch place {
      case .data, .compressed: .data
      case .zero: .zero
      case .absent: .absent
      }
    }
    var run = try run(l1, at: offset, to: limit)
    let kind = content(run.place)
    var steps = 0
    while run.end < limit, steps < 256 {
      let next = try self.run(l1, at: run.end, to: limit)
      guard content(next.place) == kind else { break }
      run = next
      steps += 1
    }
    return DiskLayerExtent(kind, end: run.end)
  }
}
