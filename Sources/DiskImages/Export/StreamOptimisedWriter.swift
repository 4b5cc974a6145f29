internal import Glibc
package import HostSystem

/// Writes a disk as VMware's stream-optimised image, in order and without going back, as an OVA holds it (Virtual
/// Disk Format 5.0, "Stream-Optimized Compressed Sparse Extents").
///
/// A header whose copy at the end says where the grain directory is; the descriptor; for each 512 grains those that
/// are not zero, packed, and their grain table behind them; the directory; the header's copy; the end. Markers say
/// what comes. The same disk gives the same bytes.
package final class StreamOptimisedWriter: ImageWriter {
  private static let grainSectors: UInt64 = 128
  private static let grainSize = Int(grainSectors * sectorSize)
  /// So many grains are packed at once: 8 MiB.
  private static let batchSize = 128
  /// The most that sectors of the file can be counted to, 32 bits.
  package static let mostBytes: UInt64 = 2 << 40

  package let size: UInt64
  private let sink: any ByteSink
  private let packer = GrainPacker()
  private var header: VMDKHeader
  /// Sectors written.
  private var position: UInt64 = 0
  private var end: UInt64 = 0
  /// The grain that is being filled.
  private var current: GrainPacker.Grain?
  private var waiting: [GrainPacker.Grain] = []
  /// The grain table being filled, and which it is.
  private var table = [UInt32](repeating: 0, count: Int(VMDKHeader.usualTableEntries))
  private var tableIndex = 0
  private var directory: [UInt32]

  /// `name` is what the image calls its own file.
  package init(_ sink: any ByteSink, size: UInt64, name: String) throws(Errno) {
    self.sink = sink
    self.size = size
    header = VMDKHeader(
      capacity: size / sectorSize, grainSize: Self.grainSectors,
      flags: VMDKHeader.hasNewLineTest | VMDKHeader.isCompressed | VMDKHeader.hasMarkers)
    header.descriptorOffset = 1
    header.descriptorSize = 20
    directory = Array(repeating: 0, count: Int(header.tableCount))
    let text = Array(VMDKDescriptor.text(capacity: header.capacity, name: name).utf8)
    var start = header.encoded()
    start += text.prefix(Int(header.descriptorSize * sectorSize))
    start += [UInt8](repeating: 0, count: VMDKHeader.overhead * Int(sectorSize) - start.count)
    try append(start)
  }

  package func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkNext(offset, buffer.count, after: end)
    end = offset + UInt64(buffer.count)
    var done = 0
    while done < buffer.count {
      let place = offset + UInt64(done)
      let sector = place / sectorSize / Self.grainSectors * Self.grainSectors
      let inGrain = Int(place % UInt64(Self.grainSize))
      let part = min(buffer.count - done, Self.grainSize - inGrain)
      if current?.sector != sector {
        try endGrain()
        current = GrainPacker.Grain(sector: sector, bytes: Array(repeating: 0, count: Self.grainSize))
      }
      current?.bytes.withUnsafeMutableBytes {
        $0[inGrain..<inGrain + part].copyBytes(
          from: UnsafeRawBufferPointer(rebasing: buffer[done..<done + part]))
      }
      done += part
    }
  }

  private func endGrain() throws(Errno) {
    if let current { waiting.append(current) }
    current = nil
    if waiting.count >= Self.batchSize { try writeGrains() }
  }

  private func writeGrains() throws(Errno) {
    let packed = try packer.pack(waiting)
    for (grain, bytes) in zip(waiting, packed) {
      let index = Int(grain.sector / Self.grainSectors)
      if index / table.count != tableIndex {
        try endTable()
        tableIndex = index / table.count
      }
      table[index % table.count] = try sector()
      try append(bytes)
    }
    waiting = []
  }

  private func endTable() throws(Errno) {
    guard table.contains(where: { $0 != 0 }) else { return }
    try append(marker(.grainTable, sectors: UInt64(table.count) * 4 / sectorSize))
    directory[tableIndex] = try sector()
    try append(table.flatMap { Self.bytes(of: $0) })
    for index in table.indices { table[index] = 0 }
  }

  package func finish() throws(Errno) {
    try endGrain()
    try writeGrains()
    try endTable()
    var entries = directory.flatMap { Self.bytes(of: $0) }
    entries += [UInt8](repeating: 0, count: (512 - entries.count % 512) % 512)
    try append(marker(.grainDirectory, sectors: UInt64(entries.count) / sectorSize))
    header.directoryOffset = UInt64(try sector())
    try append(entries)
    try append(marker(.footer, sectors: 1))
    try append(header.encoded())
    try append(marker(.endOfStream, sectors: 0))
    try (sink as? FileSink)?.sync()
  }

  private func marker(_ kind: VMDKMarker, sectors: UInt64) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Int(sectorSize))
    bytes.setLittle(sectors, at: 0)
    bytes.setLittle(kind.rawValue, at: 12)
    return bytes
  }

  private static func bytes(of number: UInt32) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }

  /// Where the next bytes go; `EFBIG` when the format cannot say it.
  private func sector() throws(Errno) -> UInt32 {
    guard let sector = UInt32(exactly: position) else { throw Errno(EFBIG) }
    return sector
  }

  private func append(_ bytes: [UInt8]) throws(Errno) {
    try sink.append(bytes)
    position += UInt64(bytes.count) / sectorSize
  }
}

extension VMDKDescriptor {
  /// The descriptor of a stream-optimised image. The content's identifier says that it was never changed.
  static func text(capacity: UInt64, name: String) -> String {
    // What the BIOS of such a machine says of a disk with these adapters.
    let cylinders = min(65535, max(1, capacity / (255 * 63)))
    let plain = String(name.map { $0 == "\"" || $0.isNewline ? "_" : $0 })
    return """
      \(start)
      version=1
      CID=fffffffe
      parentCID=ffffffff
      createType="streamOptimized"

      # Extent description
      RW \(capacity) SPARSE "\(plain)"

      # The Disk Data Base
      #DDB

      ddb.virtualHWVersion = "4"
      ddb.geometry.cylinders = "\(cylinders)"
      ddb.geometry.heads = "255"
      ddb.geometry.sectors = "63"
      ddb.adapterType = "lsilogic"

      """
  }
}
