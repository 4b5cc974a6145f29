internal import Glibc
internal import HostSystem
internal import Synchronization

/// The file of an image that another system made, as its reader sees it: no place that the file names is looked
/// at before it was found to be inside, and tables are read by pieces, of which a few are kept.
final class ImportFile: Sendable {
  /// Bytes of a piece of a table.
  private static let pieceSize: UInt64 = 16 << 10
  /// How many pieces are kept: 1 MiB.
  private static let mostPieces = 64

  private struct Pieces {
    var held: [UInt64: (bytes: [UInt8], use: UInt64)] = [:]
    var uses: UInt64 = 0
  }

  let file: any ImageFile
  let format: DiskFormat
  /// Bytes that the file had when it was opened.
  let size: UInt64
  private let pieces = Mutex(Pieces())

  var name: String { file.name }

  init(_ file: any ImageFile, format: DiskFormat) throws(DiskImageError) {
    self.file = file
    self.format = format
    do {
      size = try file.size()
    } catch {
      throw .system(name: file.name, operation: "find the size of", error)
    }
    guard size > 0 else { throw .empty(name: file.name) }
  }

  // MARK: - Errors

  func damaged(_ reason: String) -> DiskImageError { .damaged(name: name, format: format, reason: reason) }

  func unsupported(_ feature: String) -> DiskImageError {
    .unsupported(name: name, format: format, feature: feature)
  }

  // MARK: - Reading

  /// Whether a range is inside the file.
  func holds(_ offset: UInt64, _ count: UInt64) -> Bool { offset <= size && count <= size - offset }

  /// A part of the file, of few bytes, that `what` names in messages.
  func fields(at offset: UInt64, count: Int, of what: String) throws(DiskImageError) -> Fields {
    guard holds(offset, UInt64(count)) else { throw damaged("\(what) is behind the end of the file") }
    do {
      return Fields(try bytes(at: offset, count: count))
    } catch {
      throw .system(name: name, operation: "read", error)
    }
  }

  /// As ``fields(at:count:of:)``, for what is read while the disk is in use: `EIO` behind the file's end.
  func bytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
    guard holds(offset, UInt64(count)) else { throw .io }
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBufferPointer { (bytes) throws(Errno) in
      try file.read(at: offset, into: UnsafeMutableRawBufferPointer(bytes))
    }
    return bytes
  }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    guard holds(offset, UInt64(buffer.count)) else { throw .io }
    try file.read(at: offset, into: buffer)
  }

  // MARK: - Tables

  /// An entry of a table, at a multiple of its size in the file. `EIO` behind the file's end.
  func entry<Number: FixedWidthInteger & Sendable>(_ type: Number.Type, at offset: UInt64) throws(Errno)
    -> Number
  {
    let size = MemoryLayout<Number>.size
    guard offset % UInt64(size) == 0, holds(offset, UInt64(size)) else { throw .io }
    return try piece(offset / Self.pieceSize) { piece in
      let place = Int(offset % Self.pieceSize)
      guard place + size <= piece.count else { return nil }
      return piece.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: type) }
    }
  }

  /// A few bytes of a table, which do not cross a multiple of 16 KiB.
  func tableBytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
    guard holds(offset, UInt64(count)) else { throw .io }
    return try piece(offset / Self.pieceSize) { piece in
      let place = Int(offset % Self.pieceSize)
      return place + count <= piece.count ? Array(piece[place..<place + count]) : nil
    }
  }

  private func piece<Result: Sendable>(
    _ index: UInt64, _ take: ([UInt8]) -> Result?
  ) throws(Errno) -> Result {
    try pieces.withLock { (pieces) throws(Errno) in
      pieces.uses += 1
      if pieces.held[index] == nil {
        if pieces.held.count >= Self.mostPieces,
          let oldest = pieces.held.min(by: { $0.value.use < $1.value.use })?.key
        {
          pieces.held[oldest] = nil
        }
        let start = index * Self.pieceSize
        pieces.held[index] = (
          try bytes(at: start, count: Int(min(Self.pieceSize, size - start))), pieces.uses
        )
      }
      pieces.held[index]?.use = pieces.uses
      guard let bytes = pieces.held[index]?.bytes, let result = take(bytes) else { throw .io }
      return result
    }
  }
}
