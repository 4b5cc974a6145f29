internal import Glibc
internal import HostSystem

/// A VHDX file as it will be when its log has been replayed. The file itself stays as it is.
final class VHDXReplayedFile: ImageFile {
  private let source: ImportFile
  private let patches: VHDXPatches
  private let newSize: UInt64

  var name: String { source.name }
  var isReadOnly: Bool { true }

  init(_ source: ImportFile, _ patches: VHDXPatches, size: UInt64) {
    self.source = source
    self.patches = patches
    newSize = max(size, min(patches.fileSize, UInt64(Int64.max)))
  }

  func size() throws(Errno) -> UInt64 { newSize }

  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    let (end, overflow) = offset.addingReportingOverflow(UInt64(buffer.count))
    guard !overflow, end <= newSize else { throw .io }
    try readStored(at: offset, into: buffer)
    let sectorSize = VHDXLog.sectorSize
    var sector = offset / sectorSize * sectorSize
    while sector < end {
      let from = max(sector, offset)
      let to = min(sector + sectorSize, end)
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[Int(from - offset)..<Int(to - offset)])
      if let patch = patches.sectors[sector] {
        let contents = try contents(of: patch)
        part.copyBytes(from: contents[Int(from - sector)..<Int(to - sector)])
      } else if patches.isZeroed(sector) {
        part.initializeMemory(as: UInt8.self, repeating: 0)
      }
      sector += sectorSize
    }
  }

  /// What the file has; behind its end there is nothing yet but zeroes.
  private func readStored(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    let held = Int(min(UInt64(buffer.count), source.size - min(offset, source.size)))
    if held > 0 {
      try source.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<held]))
    }
    UnsafeMutableRawBufferPointer(rebasing: buffer[held...]).initializeMemory(as: UInt8.self, repeating: 0)
  }

  private func contents(of patch: VHDXPatches.Sector) throws(Errno) -> [UInt8] {
    var bytes = try source.bytes(at: patch.place, count: Int(VHDXLog.sectorSize))
    bytes.setLittle(patch.leading, at: 0)
    bytes.setLittle(patch.trailing, at: 4092)
    return bytes
  }

  func resize(to size: UInt64) throws(Errno) { throw Errno(EROFS) }
  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) { throw Errno(EROFS) }
  func deallocate(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { throw Errno(EROFS) }
  func zeroAllocated(at offset: UInt64, count: UInt64) throws(Errno) -> Bool { throw Errno(EROFS) }
  func sync() throws(Errno) {}
}
