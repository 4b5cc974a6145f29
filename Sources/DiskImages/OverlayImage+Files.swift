internal import HostSystem

/// Making, growing and checking overlay files.
extension OverlayImage {
  /// Makes a new overlay, on stable storage when it returns; what the file held is lost. Its clusters
  /// are as small as the size allows, or 2^`clusterShift` bytes, 12 to 21.
  package static func create(
    _ file: any ImageFile, base: (any DiskImage)?, size: UInt64, clusterShift: UInt32? = nil
  ) throws(DiskImageError) {
    var header = try plan(file, base: base, size: size)
    header.clusterShift = max(header.clusterShift, clusterShift ?? 0)
    do {
      try file.resize(to: 0)
      try file.resize(to: header.fileSize)
      try write(header, to: file)
    } catch {
      throw .system(name: file.name, operation: "write", error)
    }
  }

  /// Makes the disk larger; what is added reads as zero.
  package static func grow(_ file: any ImageFile, to size: UInt64) throws(DiskImageError) {
    var header = try readHeader(file)
    guard size >= header.size else {
      throw .badSize(
        name: file.name, size: size, reason: "it has \(header.size) already, and disks only grow")
    }
    guard size % sectorSize == 0 else { throw .badSize(name: file.name, size: size, reason: notWhole) }
    header.size = size
    guard header.clusterCount <= OverlayHeader.maximumClusters else {
      let most = OverlayHeader.maximumClusters << UInt64(header.clusterShift)
      throw .badSize(
        name: file.name, size: size, reason: "this overlay can grow to \(most); make a larger one anew")
    }
    do {
      // Length first: a header must never promise more than the file has.
      try file.resize(to: header.fileSize)
      try file.sync()
      try write(header, to: file)
    } catch {
      throw .system(name: file.name, operation: "grow", error)
    }
  }

  /// The header of an overlay to be made.
  static func plan(
    _ file: any ImageFile, base: (any DiskImage)?, size: UInt64
  ) throws(DiskImageError) -> OverlayHeader {
    if let base, !base.isReadOnly { throw .baseWritable(name: file.name) }
    let baseSize = base?.size ?? 0
    guard size >= baseSize else {
      throw .badSize(name: file.name, size: size, reason: "the base has \(baseSize) bytes; ask for no less")
    }
    guard size > 0, size % sectorSize == 0 else {
      throw .badSize(name: file.name, size: size, reason: notWhole)
    }
    guard let clusterShift = OverlayHeader.clusterShift(forSize: size) else {
      throw .badSize(name: file.name, size: size, reason: "an overlay has at most 240 TiB")
    }
    return OverlayHeader(
      clusterShift: clusterShift, size: size, baseSize: baseSize,
      baseFingerprint: try fingerprint(of: base, under: file))
  }

  private static let notWhole = "ask for a multiple of 512, greater than zero"

  static func readHeader(_ file: any ImageFile) throws(DiskImageError) -> OverlayHeader {
    var bytes = [UInt8](repeating: 0, count: OverlayHeader.byteCount)
    let fileSize: UInt64
    do {
      fileSize = try file.size()
      bytes.removeLast(bytes.count - Int(min(fileSize, UInt64(bytes.count))))
      try bytes.withUnsafeMutableBufferPointer { (bytes) throws(Errno) in
        try file.read(at: 0, into: UnsafeMutableRawBufferPointer(bytes))
      }
    } catch {
      throw .system(name: file.name, operation: "read", error)
    }
    let header = try OverlayHeader(decoding: bytes, name: file.name)
    guard fileSize >= header.fileSize else {
      throw .truncated(name: file.name, size: fileSize, expected: header.fileSize)
    }
    return header
  }

  /// Whether `base` is what the overlay was made on.
  static func check(
    _ base: (any DiskImage)?, of file: any ImageFile, against header: OverlayHeader
  ) throws(DiskImageError) {
    guard let base else {
      if header.baseSize > 0 { throw .baseMissing(name: file.name) }
      return
    }
    guard header.baseSize > 0 else { throw .baseNotWanted(name: file.name) }
    guard base.isReadOnly else { throw .baseWritable(name: file.name) }
    guard base.size == header.baseSize else {
      throw .wrongBase(name: file.name, reason: "of \(header.baseSize) bytes, not \(base.size)")
    }
    guard try fingerprint(of: base, under: file) == header.baseFingerprint else {
      throw .wrongBase(name: file.name, reason: "its contents differ")
    }
  }

  private static func fingerprint(
    of base: (any DiskImage)?, under file: any ImageFile
  ) throws(DiskImageError) -> UInt64 {
    guard let base else { return 0 }
    do {
      return try Fingerprint.sampling(base)
    } catch {
      throw .system(name: file.name, operation: "read the base of", error)
    }
  }

  private static func write(_ header: OverlayHeader, to file: any ImageFile) throws(Errno) {
    try header.encoded().withUnsafeBufferPointer { (bytes) throws(Errno) in
      try file.write(at: 0, from: UnsafeRawBufferPointer(bytes))
    }
    try file.sync()
  }
}
