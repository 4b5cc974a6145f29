internal import CZlib
internal import HostSystem
internal import Synchronization

/// A disk in VMware's hosted sparse format, in one file with its descriptor inside: as a virtual machine uses it
/// (monolithicSparse), or written as a stream with compressed grains (streamOptimized). It is only read.
///
/// A grain is found by two tables: an entry of the grain directory is the place of a grain table, an entry of
/// that the place of a grain, all in sectors of the file; 0 stands for what is not there.
final class VMDKImage: MappedImage {
  let source: ImportFile
  let size: UInt64
  private let header: VMDKHeader
  private var grainBytes: UInt64 { header.grainSize * sectorSize }
  /// The grain that was unpacked last for a request of less.
  private let unpacked = Mutex<(place: UInt64, bytes: [UInt8])?>(nil)

  init(_ file: any ImageFile) throws(DiskImageError) {
    source = try ImportFile(file, format: .vmdk)
    let first = try source.fields(
      at: 0, count: Int(min(source.size, UInt64(VMDKHeader.byteCount))), of: "the header")
    if first.has(VMDKDescriptor.start, at: 0) { throw try Self.refusal(ofText: source) }
    guard first.bytes.count == VMDKHeader.byteCount else { throw source.damaged("it is too short") }
    var header = try VMDKHeader(decoding: first, of: source)
    try Self.checkDescriptor(header, of: source)
    if header.directoryOffset == VMDKHeader.directoryAtEnd { header = try Self.footer(of: source) }
    let directory = header.directoryOffset.multipliedReportingOverflow(by: sectorSize)
    guard header.directoryOffset > 0, !directory.overflow,
      source.holds(directory.partialValue, 4 * header.tableCount)
    else { throw source.damaged("its grain directory is not inside the file") }
    self.header = header
    size = header.capacity * sectorSize
  }

  /// The copy of the header that ends a stream: behind a marker, in front of the marker of the stream's end.
  private static func footer(of source: ImportFile) throws(DiskImageError) -> VMDKHeader {
    guard source.size >= 4 * sectorSize else { throw source.damaged("it is too short") }
    let end = try source.fields(
      at: source.size - 3 * sectorSize, count: Int(3 * sectorSize), of: "the footer")
    guard end.little(UInt32.self, at: 8) == 0, end.little(UInt32.self, at: 12) == VMDKMarker.footer.rawValue,
      end.bytes[1024...].allSatisfy({ $0 == 0 })
    else { throw source.damaged("it was cut short: the footer that ends a stream is not there") }
    let header = try VMDKHeader(decoding: Fields(Array(end.bytes[512..<1024])), of: source)
    guard header.directoryOffset != VMDKHeader.directoryAtEnd else {
      throw source.damaged("its footer does not say where the grain directory is")
    }
    return header
  }

  /// Refuses disks of several files, and those that are layers over others.
  private static func checkDescriptor(
    _ header: VMDKHeader, of source: ImportFile
  ) throws(DiskImageError) {
    // One part of several has none.
    guard header.descriptorOffset > 0, header.descriptorSize > 0 else { return }
    let offset = header.descriptorOffset.multipliedReportingOverflow(by: sectorSize)
    let count = min(header.descriptorSize, UInt64(VMDKDescriptor.mostBytes) / sectorSize) * sectorSize
    guard !offset.overflow else { throw source.damaged("the descriptor is behind the end of the file") }
    let text = try source.fields(at: offset.partialValue, count: Int(count), of: "the descriptor")
    let descriptor = VMDKDescriptor(parsing: text.bytes)
    if descriptor.hasParent {
      throw .backingMissing(name: source.name, backing: quote(descriptor.parentFile))
    }
    guard descriptor.extents.count <= 1 else {
      throw source.unsupported("\(descriptor.extents.count) extents")
    }
  }

  /// Why a descriptor by itself is refused: no file that it names is ever opened.
  private static func refusal(ofText source: ImportFile) throws(DiskImageError) -> DiskImageError {
    let count = Int(min(source.size, UInt64(VMDKDescriptor.mostBytes)))
    let descriptor = VMDKDescriptor(
      parsing: try source.fields(at: 0, count: count, of: "the descriptor").bytes)
    if descriptor.hasParent {
      return .backingMissing(name: source.name, backing: quote(descriptor.parentFile))
    }
    guard descriptor.extents.count == 1 else {
      return source.unsupported("its data in \(descriptor.extents.count) other files")
    }
    let extent = descriptor.extents[0]
    switch extent.type {
    case "SPARSE": return .elsewhere(name: source.name, file: quote(extent.file), format: .vmdk)
    case "FLAT", "VMFS": return .elsewhere(name: source.name, file: quote(extent.file), format: .raw)
    default: return source.unsupported("an extent of the type \(quote(extent.type))")
    }
  }

  /// A file's words, harmless in a message.
  private static func quote(_ text: String) -> String {
    let plain = text.prefix(200).unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? "?" : $0 }
    return plain.isEmpty ? "another file" : "'" + String(String.UnicodeScalarView(plain)) + "'"
  }

  // MARK: - Grains

  func run(at offset: UInt64) throws(Errno) -> MappedRun {
    let grain = offset / grainBytes
    let entries = UInt64(header.tableEntries)
    let table = try source.entry(
      UInt32.self, at: header.directoryOffset * sectorSize + 4 * (grain / entries)
    ).littleEndian
    if table == 0 {
      return MappedRun(place: .zero, end: min(size, (grain / entries + 1) * entries * grainBytes))
    }
    let entry = try source.entry(UInt32.self, at: UInt64(table) * sectorSize + 4 * (grain % entries))
      .littleEndian
    let end = min(size, (grain + 1) * grainBytes)
    if entry == 0 || (entry == 1 && header.flags & VMDKHeader.hasZeroedGrains != 0) {
      return MappedRun(place: .zero, end: end)
    }
    let place = UInt64(entry) * sectorSize
    let isPacked = header.flags & VMDKHeader.isCompressed != 0
    return MappedRun(place: isPacked ? .packed(place) : .file(place + offset % grainBytes), end: end)
  }

  func unpack(_ place: UInt64, _ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    let start = offset / grainBytes * grainBytes
    if offset == start, UInt64(buffer.count) == min(grainBytes, size - start) {
      return try inflate(place, start, into: buffer)
    }
    try unpacked.withLock { (unpacked) throws(Errno) in
      if unpacked?.place != place {
        var bytes = [UInt8](repeating: 0, count: Int(min(grainBytes, size - start)))
        try bytes.withUnsafeMutableBufferPointer { (bytes) throws(Errno) in
          try inflate(place, start, into: UnsafeMutableRawBufferPointer(bytes))
        }
        unpacked = (place, bytes)
      }
      if let bytes = unpacked?.bytes, Int(offset - start) + buffer.count <= bytes.count {
        buffer.copyBytes(from: bytes[Int(offset - start)...].prefix(buffer.count))
      }
    }
  }

  /// Unpacks the grain that begins at the disk's byte `offset`: a marker with its first sector and the bytes that
  /// follow, a stream of zlib's (RFC 1950). A last grain may be whole, though the disk ends in it.
  private func inflate(
    _ place: UInt64, _ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer
  ) throws(Errno) {
    let marker = Fields(try source.bytes(at: place, count: 12))
    let count = marker.little(UInt32.self, at: 8)
    guard marker.little(UInt64.self, at: 0) == offset / sectorSize, count > 0,
      UInt64(count) <= 2 * grainBytes + 1024
    else { throw .io }
    var packed = try source.bytes(at: place + 12, count: Int(count))
    var whole = [UInt8](repeating: 0, count: UInt64(buffer.count) < grainBytes ? Int(grainBytes) : 0)
    let isSound = packed.withUnsafeMutableBufferPointer { packed in
      whole.withUnsafeMutableBufferPointer { whole in
        let target = whole.isEmpty ? buffer : UnsafeMutableRawBufferPointer(whole)
        var length = uLongf(target.count)
        let status = uncompress(
          target.baseAddress?.assumingMemoryBound(to: UInt8.self), &length, packed.baseAddress, uLong(count))
        return status == Z_OK && length >= buffer.count
      }
    }
    guard isSound else { throw .io }
    if !whole.isEmpty { buffer.copyBytes(from: whole.prefix(buffer.count)) }
  }
}

/// What kind of thing a marker in a stream announces.
enum VMDKMarker: UInt32 {
  case endOfStream = 0
  case grainTable = 1
  case grainDirectory = 2
  case footer = 3
}
