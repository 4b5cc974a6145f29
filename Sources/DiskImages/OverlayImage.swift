package import HostSystem
internal import Synchronization

/// A copy-on-write layer of one instance over a base that is never written.
///
/// What the guest changed is in the overlay's file, cluster by cluster (``OverlayHeader`` states the
/// format); the rest comes from the base, and reads as zero behind its end. A range that was zeroed or
/// discarded reads as zero.
///
/// **Power cuts.** A cluster's bit reaches the file only after the cluster's contents did: data, sync,
/// bitmap, sync. So after a crash everything that was flushed is there, a set bit never shows anything
/// but what the guest wrote, and a cluster whose bit was lost shows the base, as before the write.
/// Bits are only ever set, so a bitmap block that was torn is still a true one. What a crash left in
/// unallocated clusters is never looked at: a cluster is filled whole before its bit is set.
package final class OverlayImage: DiskImage {
  package let size: UInt64
  package var isReadOnly: Bool { file.isReadOnly }

  private let file: any ImageFile
  private let base: (any DiskImage)?
  /// Where clusters begin in the file.
  private let dataOffset: UInt64
  private let clusterShift: UInt64
  private let bitmap: AllocationBitmap
  /// Whether the bitmap is kept in the file.
  private let isPersistent: Bool
  /// Held while clusters become allocated, so that two writers of one cluster do not fill it twice.
  /// Guards the room that contents of the base are copied through.
  private let allocation: Mutex<Mapping>
  /// Held by ``flush()``, so that an older bitmap block never follows a newer one.
  private let flushing = Mutex<Void>(())

  private var clusterSize: UInt64 { 1 << clusterShift }
  private var baseSize: UInt64 { base?.size ?? 0 }

  private init(
    _ file: any ImageFile, base: (any DiskImage)?, header: OverlayHeader, dataOffset: UInt64,
    isPersistent: Bool
  ) throws(DiskImageError) {
    self.file = file
    self.base = base
    self.dataOffset = dataOffset
    self.isPersistent = isPersistent
    size = header.size
    clusterShift = UInt64(header.clusterShift)
    do {
      bitmap = try AllocationBitmap(clusterCount: header.clusterCount)
      allocation = Mutex(try Mapping.map(size: 1 << Int(header.clusterShift)))
    } catch {
      throw .system(name: file.name, operation: "get memory for the bitmap of", error)
    }
  }

  /// Opens an overlay that ``create(_:base:size:)`` made.
  package convenience init(_ file: any ImageFile, base: (any DiskImage)?) throws(DiskImageError) {
    let header = try Self.readHeader(file)
    try Self.check(base, of: file, against: header)
    try self.init(
      file, base: base, header: header, dataOffset: OverlayHeader.dataOffset, isPersistent: true)
    do {
      // The room behind the last block's bits is the file's too, so whole blocks can be read.
      try file.read(at: OverlayHeader.bitmapOffset, into: bitmap.bytes)
    } catch {
      throw .system(name: file.name, operation: "read the bitmap of", error)
    }
    guard !bitmap.hasStrayBits else { throw .damagedBitmap(name: file.name) }
  }

  /// An overlay whose bitmap is in memory alone, in a file that nobody will open again.
  package convenience init(
    ephemeral file: any ImageFile, base: any DiskImage, size: UInt64
  ) throws(DiskImageError) {
    let header = try Self.plan(file, base: base, size: size)
    try self.init(file, base: base, header: header, dataOffset: 0, isPersistent: false)
    do {
      try file.resize(to: 0)
      try file.resize(to: header.dataSize)
    } catch {
      throw .system(name: file.name, operation: "set the size of", error)
    }
  }

  // MARK: - Reading

  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try checkRange(offset, UInt64(buffer.count))
    let end = offset + UInt64(buffer.count)
    var position = offset
    while position < end {
      let run = bitmap.run(from: position >> clusterShift, to: clusters(position..<end).upperBound)
      let stop = min(end, run.end << clusterShift)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[Int(position - offset)..<Int(stop - offset)])
      if run.isAllocated {
        try file.read(at: dataOffset + position, into: part)
      } else {
        try readBase(at: position, into: part)
      }
      position = stop
    }
  }

  /// What is under the overlay: the base, then zeroes.
  private func readBase(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    let held = Int(min(UInt64(buffer.count), baseSize - min(offset, baseSize)))
    if held > 0 { try base?.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<held])) }
    UnsafeMutableRawBufferPointer(rebasing: buffer[held...]).initializeMemory(as: UInt8.self, repeating: 0)
  }

  // MARK: - Writing

  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkChange(offset, UInt64(buffer.count))
    guard !buffer.isEmpty else { return }
    let range = offset..<offset + UInt64(buffer.count)
    let clusters = clusters(range)
    if bitmap.isAllocated(clusters) { return try file.write(at: dataOffset + offset, from: buffer) }
    try allocation.withLock { (room) throws(Errno) in
      try fillEdges(of: range, through: room)
      try file.write(at: dataOffset + offset, from: buffer)
      bitmap.set(clusters)
    }
  }

  package func discard(at offset: UInt64, count: UInt64) throws(Errno) {
    try writeZeroes(at: offset, count: count, mayUnmap: true)
  }

  package func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    try checkChange(offset, count)
    guard count > 0 else { return }
    let range = offset..<offset + count
    if bitmap.isAllocated(clusters(range)) {
      return try file.writeZeroes(at: dataOffset + offset, count: count, mayUnmap: mayUnmap)
    }
    try allocation.withLock { (room) throws(Errno) in
      var position = offset
      while position < range.upperBound {
        let run = bitmap.run(from: position >> clusterShift, to: clusters(range).upperBound)
        let part = position..<min(range.upperBound, run.end << clusterShift)
        try zero(part, isAllocated: run.isAllocated, mayUnmap: mayUnmap, through: room)
        position = part.upperBound
      }
    }
  }

  /// Zeroes a range of which all clusters or none are allocated. The caller holds `allocation`.
  private func zero(
    _ range: Range<UInt64>, isAllocated: Bool, mayUnmap: Bool, through room: Mapping
  ) throws(Errno) {
    var range = range
    if !isAllocated, mayUnmap {
      // What is behind the base reads as zero already and need not become ours.
      let end = min(range.upperBound, ((baseSize + clusterSize - 1) >> clusterShift) << clusterShift)
      guard range.lowerBound < min(end, baseSize) else { return }
      range = range.lowerBound..<end
    }
    if !isAllocated { try fillEdges(of: range, through: room) }
    // Unallocated clusters too: a crash may have left something there.
    try file.writeZeroes(
      at: dataOffset + range.lowerBound, count: range.upperBound - range.lowerBound, mayUnmap: mayUnmap)
    if !isAllocated { bitmap.set(clusters(range)) }
  }

  /// Copies up what shares the first and the last cluster of a range with it, where they are still
  /// unallocated. The caller holds `allocation`.
  private func fillEdges(of range: Range<UInt64>, through room: Mapping) throws(Errno) {
    let first = range.lowerBound >> clusterShift
    let last = (range.upperBound - 1) >> clusterShift
    if !bitmap.isAllocated(first..<first + 1) {
      try copyUp(first << clusterShift..<range.lowerBound, through: room)
    }
    if !bitmap.isAllocated(last..<last + 1) {
      try copyUp(range.upperBound..<(last + 1) << clusterShift, through: room)
    }
  }

  private func copyUp(_ range: Range<UInt64>, through room: Mapping) throws(Errno) {
    guard !range.isEmpty else { return }
    let contents = UnsafeMutableRawBufferPointer(
      start: room.base, count: Int(range.upperBound - range.lowerBound))
    try readBase(at: range.lowerBound, into: contents)
    try file.write(at: dataOffset + range.lowerBound, from: UnsafeRawBufferPointer(contents))
  }

  /// The clusters that a range of bytes, not empty, touches.
  private func clusters(_ range: Range<UInt64>) -> Range<UInt64> {
    range.lowerBound >> clusterShift..<(range.upperBound - 1) >> clusterShift + 1
  }

  // MARK: - Flushing

  package func flush() throws(Errno) {
    guard isPersistent, !isReadOnly else { return }
    try flushing.withLock { (_) throws(Errno) in
      // Bits that are set now are of contents that the first sync covers; later ones must wait.
      let blocks = bitmap.takeDirtyBlocks()
      do throws(Errno) {
        try file.sync()
        guard !blocks.isEmpty else { return }
        for (block, contents) in blocks {
          let offset = OverlayHeader.bitmapOffset + UInt64(block * AllocationBitmap.blockSize)
          try contents.withUnsafeBufferPointer { (words) throws(Errno) in
            try file.write(at: offset, from: UnsafeRawBufferPointer(words))
          }
        }
        try file.sync()
      } catch {
        bitmap.markDirty(blocks.map(\.block))
        throw error
      }
    }
  }
}
