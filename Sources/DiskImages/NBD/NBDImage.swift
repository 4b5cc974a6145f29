internal import Glibc
package import HostSystem

/// A disk that a server has, by the Network Block Device protocol (doc/proto.md of the project that keeps it), by
/// libnbd.
///
/// **Connections.** There is one, and one thread that has it; whoever asks waits for that thread, and requests of all
/// who ask are with the server together. When it is lost, another is asked for, and what was not answered is asked
/// again there: to read, write, zero, trim or flush twice is to do it once. A request that is not answered within
/// ``NBDLimits/request`` fails by `ETIMEDOUT`, and a server that is silent for ``NBDLimits/silence`` counts as lost, so
/// that every wait has an end. An export that comes back with another size or other abilities is not taken.
///
/// **Flushes.** A server has what it answered in memory until a flush, and may lose it with its process, or its host.
/// Changes that were answered are kept here until a flush was (``NBDLog``, at most ``NBDLimits/unflushed`` bytes; a
/// flush of our own makes room) and made again on a new connection before anything else. So after a ``flush()``
/// everything is durable that was written before, also when the server died in between, and it is asked no more than
/// the protocol does: that a flush covers what it answered before on the same connection. When something cannot be
/// made again, or a flush fails, no later flush succeeds. Two servers are beyond that: one that knows no flushes is
/// asked to force each change (FUA) if it can that, and otherwise a change that it answered counts as durable.
///
/// **Blocks.** Servers may want offsets and lengths to be multiples of up to 64 KiB. What is not is read as part of
/// whole blocks, and written by reading them first, while no other change is made.
package final class NBDImage: DiskImage {
  /// Gets a connected stream socket to the server, for a new connection. It may wait, for some time.
  package typealias Connect = @Sendable () throws(Errno) -> Descriptor

  /// What becomes of the connection while somebody asks something.
  package enum Change: Equatable, Sendable {
    /// There is none, or none that is of use, for this reason; the next is asked for.
    case lost(reason: String)
    /// There is one again.
    case returned
  }

  /// Bytes of data that one request moves.
  private static let pieceSize: UInt64 = 1 << 20
  /// Bytes that one request zeroes or trims: some servers write them.
  private static let rangeSize: UInt64 = 64 << 20
  /// Bytes whose extents are asked for at once.
  private static let extentRange: UInt64 = 1 << 30

  package let size: UInt64
  package let isReadOnly: Bool
  private let export: NBDExport
  /// Whether the server lets nobody write it.
  var isServerReadOnly: Bool { export.isReadOnly }
  private let pump: NBDPump
  private let limits: NBDLimits
  private let blocks = NBDAlignmentLock()

  /// Opens an export over a connected stream socket. Without `reconnect`, all fails by `EIO` once the connection is
  /// lost. `name` is for messages, and `onChange` is called by the thread that has the connection. Throws `server` with
  /// what the server says.
  package convenience init(
    socket: Descriptor, export: String, name: String, readOnly: Bool, limits: NBDLimits = NBDLimits(),
    reconnect: Connect? = nil, onChange: @escaping @Sendable (Change) -> Void = { _ in }
  ) throws(DiskImageError) {
    try self.init(
      .sockets(first: socket, again: reconnect), export: export, name: name, readOnly: readOnly,
      limits: limits, onChange: onChange)
  }

  /// Opens an export, connecting in this process.
  package convenience init(
    _ location: NBDLocation, readOnly: Bool, limits: NBDLimits = NBDLimits()
  ) throws(DiskImageError) {
    let way: NBDWay
    if let tls = location.tls, case .host(let host, let port) = location.server {
      way = .tls(host: host, port: port, certificates: tls.certificates)
    } else {
      way = .sockets(first: nil) { () throws(Errno) in try location.connect() }
    }
    try self.init(
      way, export: location.export, name: location.description, readOnly: readOnly, limits: limits)
  }

  private init(
    _ way: NBDWay, export exportName: String, name: String, readOnly: Bool, limits: NBDLimits,
    onChange: @escaping @Sendable (Change) -> Void = { _ in }
  ) throws(DiskImageError) {
    // What is longer, or ends early, is not sent.
    guard exportName.utf8.count <= NBDLocation.mostNameBytes, !exportName.utf8.contains(0) else {
      throw .server(name: name, reason: "no export can have that name")
    }
    pump = try NBDPump(name: name, export: exportName, way: way, limits: limits, onChange: onChange)
    self.limits = limits
    guard let export = pump.export else {
      throw .server(name: name, reason: "it tells nothing of the export")
    }
    self.export = export
    isReadOnly = readOnly
    // The last sector of a disk that is only read is filled up, as a file's is.
    size = (export.size + sectorSize - 1) / sectorSize * sectorSize
    guard readOnly || !export.isReadOnly else {
      pump.end()
      throw .server(name: name, reason: "the server lets nobody write it: open it read-only")
    }
    guard readOnly || export.size == size else {
      pump.end()
      throw .server(
        name: name, reason: "it has \(export.size) bytes, not a multiple of 512: open it read-only")
    }
  }

  deinit { pump.end() }

  // MARK: - Requests

  private var deadline: UInt64 { monotonicNanoseconds() + limits.request * 1_000_000 }

  private func isAligned(_ range: Range<UInt64>) -> Bool {
    let mask = export.alignment - 1
    return range.lowerBound & mask == 0 && (range.upperBound & mask == 0 || range.upperBound == export.size)
  }

  /// The whole blocks around a range.
  private func blocks(around range: Range<UInt64>) -> Range<UInt64> {
    let mask = export.alignment - 1
    return range.lowerBound & ~mask..<min((range.upperBound + mask) & ~mask, export.size)
  }

  /// The whole blocks within a range; nil when there is none.
  private func blocks(within range: Range<UInt64>) -> Range<UInt64>? {
    let mask = export.alignment - 1
    let start = (range.lowerBound + mask) & ~mask
    let end = range.upperBound == export.size ? range.upperBound : range.upperBound & ~mask
    return start < end ? start..<end : nil
  }

  /// Has a range done in pieces of `step` bytes, several at a time.
  private func perform(
    _ range: Range<UInt64>, step: UInt64, _ operation: (Range<UInt64>) -> NBDRequest.Operation
  ) throws(Errno) {
    var position = range.lowerBound
    while position < range.upperBound {
      var requests: [NBDRequest] = []
      let deadline = deadline
      while position < range.upperBound, requests.count < NBDPump.mostInFlight {
        let end = position + min(step, range.upperBound - position)
        requests.append(
          NBDRequest(operation(position..<end), at: position, count: end - position, deadline: deadline))
        position = end
      }
      try pump.perform(requests)
    }
  }

  private var dataStep: UInt64 { min(export.mostBytes, max(Self.pieceSize, export.alignment)) }

  // MARK: - Reading

  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try checkRange(offset, UInt64(buffer.count))
    let held = Int(min(UInt64(buffer.count), export.size - min(offset, export.size)))
    try readBlocks(
      offset..<offset + UInt64(held), into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<held]))
    UnsafeMutableRawBufferPointer(rebasing: buffer[held...]).initializeMemory(as: UInt8.self, repeating: 0)
  }

  private func readBlocks(
    _ range: Range<UInt64>, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    guard !range.isEmpty else { return }
    guard !isAligned(range) else {
      return try perform(range, step: dataStep) { piece in
        .read(
          UnsafeMutableRawBufferPointer(
            rebasing: buffer[
              Int(piece.lowerBound - range.lowerBound)..<Int(piece.upperBound - range.lowerBound)]))
      }
    }
    try inPieces(range) { (piece, around) throws(Errno) in
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: around.count, alignment: 16)
      defer { copy.deallocate() }
      try readBlocks(around, into: copy)
      let start = Int(piece.lowerBound - around.lowerBound)
      UnsafeMutableRawBufferPointer(rebasing: buffer[Int(piece.lowerBound - range.lowerBound)...])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: copy[start..<start + piece.count]))
    }
  }

  /// Parts of a range that is not aligned, each with the blocks around it, of a bounded size.
  private func inPieces(
    _ range: Range<UInt64>, _ body: (_ piece: Range<UInt64>, _ around: Range<UInt64>) throws(Errno) -> Void
  ) throws(Errno) {
    var position = range.lowerBound
    while position < range.upperBound {
      let whole = position & ~(export.alignment - 1)
      let end = min(range.upperBound, whole + Self.pieceSize)
      try body(position..<end, blocks(around: position..<end))
      position = end
    }
  }

  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskExtent {
    try checkRange(offset, 1)
    let limit = min(limit, size)
    guard offset < export.size else { return DiskExtent(.zero, end: limit) }
    let unknown = DiskExtent(.data, end: limit)
    guard export.tellsExtents, offset < limit else { return unknown }
    let range = blocks(around: offset..<min(limit, offset + Self.extentRange, export.size))
    let request = NBDRequest(
      .extents, at: range.lowerBound, count: UInt64(range.count), deadline: deadline)
    do throws(Errno) {
      try pump.perform([request])
    } catch {
      guard error != .timedOut else { throw error }
      return unknown
    }
    return told(by: request, at: offset, limit: limit) ?? unknown
  }

  /// What a server's answer says, in whole sectors; nil when it says nothing of the place.
  private func told(by request: NBDRequest, at offset: UInt64, limit: UInt64) -> DiskExtent? {
    guard let first = request.extents.first else { return nil }
    // NBD_STATE_ZERO.
    let isZero = first.flags & 2 != 0
    var end = request.offset
    for extent in request.extents {
      guard extent.length > 0, (extent.flags & 2 != 0) == isZero else { break }
      end += UInt64(extent.length)
    }
    guard end > offset else { return nil }
    end = end >= export.size ? size : isZero ? end / sectorSize * sectorSize : end
    if isZero {
      guard end > offset else { return DiskExtent(.data, end: min(limit, offset + sectorSize)) }
      return DiskExtent(.zero, end: min(limit, end))
    }
    return DiskExtent(.data, end: min(limit, (end + sectorSize - 1) / sectorSize * sectorSize))
  }

  // MARK: - Changes

  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkChange(offset, UInt64(buffer.count))
    try writeBlocks(offset..<offset + UInt64(buffer.count), from: buffer)
  }

  private func writeBlocks(_ range: Range<UInt64>, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    guard !range.isEmpty else { return }
    guard !isAligned(range) else {
      return try blocks.with(alone: false) { () throws(Errno) in try writeWhole(range, from: buffer) }
    }
    try inPieces(range) { (piece, around) throws(Errno) in
      try blocks.with(alone: true) { () throws(Errno) in
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: around.count, alignment: 16)
        defer { copy.deallocate() }
        try readBlocks(around, into: copy)
        let start = Int(piece.lowerBound - around.lowerBound)
        let from = Int(piece.lowerBound - range.lowerBound)
        UnsafeMutableRawBufferPointer(rebasing: copy[start...])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer[from..<from + piece.count]))
        try writeWhole(around, from: UnsafeRawBufferPointer(copy))
      }
    }
  }

  private func writeWhole(_ range: Range<UInt64>, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try perform(range, step: dataStep) { piece in
      .write(
        UnsafeRawBufferPointer(
          rebasing: buffer[
            Int(piece.lowerBound - range.lowerBound)..<Int(piece.upperBound - range.lowerBound)]))
    }
  }

  package func flush() throws(Errno) {
    guard !isReadOnly, export.canFlush else { return }
    try pump.perform([NBDRequest(.flush, deadline: deadline)])
  }

  package func discard(at offset: UInt64, count: UInt64) throws(Errno) {
    try checkChange(offset, count)
    guard export.canTrim, let range = blocks(within: offset..<offset + count) else { return }
    try blocks.with(alone: false) { () throws(Errno) in
      try perform(range, step: Self.rangeSize) { _ in .trim }
    }
  }

  package func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    try checkChange(offset, count)
    let range = offset..<offset + count
    guard export.canZero, let whole = blocks(within: range) else { return try writeZeroBytes(range) }
    try blocks.with(alone: false) { () throws(Errno) in
      try perform(whole, step: Self.rangeSize) { _ in .zero(mayUnmap: mayUnmap) }
    }
    try writeZeroBytes(range.lowerBound..<whole.lowerBound)
    try writeZeroBytes(whole.upperBound..<range.upperBound)
  }

  private func writeZeroBytes(_ range: Range<UInt64>) throws(Errno) {
    guard !range.isEmpty else { return }
    let zeroes = UnsafeMutableRawBufferPointer.allocate(
      byteCount: Int(min(UInt64(range.count), Self.pieceSize)), alignment: 16)
    defer { zeroes.deallocate() }
    zeroes.initializeMemory(as: UInt8.self, repeating: 0)
    var position = range.lowerBound
    while position < range.upperBound {
      let end = min(range.upperBound, position + Self.pieceSize)
      try writeBlocks(
        position..<end, from: UnsafeRawBufferPointer(rebasing: zeroes[..<Int(end - position)]))
      position = end
    }
  }
}
