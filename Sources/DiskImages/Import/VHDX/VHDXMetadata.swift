/// What kind of disk a VHDX file holds ([MS-VHDX] 2.6).
struct VHDXMetadata {
  static let tableSize = 64 << 10
  static let signature = "metadata"
  private static let mostEntries = 2047
  private static let mostBytes: UInt64 = 64 << 40
  private static let isRequired: UInt32 = 1 << 2

  /// Bytes, a power of two from 1 MiB to 256 MiB.
  var blockSize: UInt32
  /// Bytes.
  var diskSize: UInt64
  var sectorSize: UInt32

  /// Blocks whose sector bitmaps fill one block ([MS-VHDX] 2.5.1).
  var chunkRatio: UInt64 { (1 << 23) * UInt64(sectorSize) / UInt64(blockSize) }
  var blockCount: UInt64 { (diskSize + UInt64(blockSize) - 1) / UInt64(blockSize) }
  /// Entries of the block allocation table; among a chunk's and the next's there is one of a bitmap.
  var tableEntries: UInt64 { blockCount + (blockCount - 1) / chunkRatio }

  init(blockSize: UInt32, diskSize: UInt64) {
    self.blockSize = blockSize
    self.diskSize = diskSize
    sectorSize = 512
  }

  /// Reads what anybody may have written.
  init(in region: VHDXRegions.Region, of source: ImportFile) throws(DiskImageError) {
    let table = try source.fields(at: region.offset, count: Self.tableSize, of: "the metadata table")
    guard table.has(Self.signature, at: 0) else { throw source.damaged("its metadata table is not there") }
    let count = table.little(UInt16.self, at: 10)
    guard count <= Self.mostEntries else { throw source.damaged("\(count) items of metadata") }
    var items: [VHDXIdentifier: Fields] = [:]
    let needed: [VHDXIdentifier: Int] = [
      .fileParameters: 8, .diskSize: 8, .logicalSectorSize: 4, .physicalSectorSize: 4, .diskIdentifier: 16,
    ]
    for index in 0..<Int(count) {
      let place = 32 + 32 * index
      let identifier = VHDXIdentifier(table.bytes[place..<place + 16])
      if identifier == .parentLocator { throw .backingMissing(name: source.name, backing: "another image") }
      guard let size = needed[identifier] else {
        if table.little(UInt32.self, at: place + 24) & Self.isRequired != 0 {
          throw source.unsupported("metadata that has to be known")
        }
        continue
      }
      let offset = table.little(UInt32.self, at: place + 16)
      let length = table.little(UInt32.self, at: place + 20)
      guard offset >= Self.tableSize, UInt64(offset) + UInt64(size) <= region.length, length >= size else {
        throw source.damaged("an item of metadata is outside their region")
      }
      let item = try source.fields(at: region.offset + UInt64(offset), count: size, of: "the metadata")
      guard items.updateValue(item, forKey: identifier) == nil else {
        throw source.damaged("an item of metadata twice")
      }
    }
    guard let parameters = items[.fileParameters], let size = items[.diskSize],
      let sector = items[.logicalSectorSize]
    else { throw source.damaged("its metadata do not say how large the disk is") }
    blockSize = parameters.little(UInt32.self, at: 0)
    if parameters.little(UInt32.self, at: 4) & 2 != 0 {
      throw .backingMissing(name: source.name, backing: "another image")
    }
    diskSize = size.little(UInt64.self, at: 0)
    sectorSize = sector.little(UInt32.self, at: 0)
    guard blockSize >= 1 << 20, blockSize <= 256 << 20, blockSize & (blockSize - 1) == 0 else {
      throw source.damaged("blocks of \(blockSize) bytes")
    }
    guard sectorSize == 512 || sectorSize == 4096 else {
      throw source.damaged("sectors of \(sectorSize) bytes")
    }
    guard diskSize > 0, diskSize <= Self.mostBytes, diskSize % UInt64(sectorSize) == 0 else {
      throw source.damaged("a disk of \(diskSize) bytes")
    }
  }

  /// The table and the items behind it. `identity` has 16 bytes.
  func encoded(identity: [UInt8]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.tableSize + 64)
    bytes.set(Self.signature, at: 0)
    // For each item its place behind the table, its length, and whether it is about the disk.
    let items: [(VHDXIdentifier, offset: Int, length: UInt32, isOfDisk: Bool)] = [
      (.fileParameters, 0, 8, false), (.diskSize, 8, 8, true), (.diskIdentifier, 16, 16, true),
      (.logicalSectorSize, 32, 4, true), (.physicalSectorSize, 36, 4, true),
    ]
    bytes.setLittle(UInt16(items.count), at: 10)
    for (index, item) in items.enumerated() {
      let place = 32 + 32 * index
      bytes.replaceSubrange(place..<place + 16, with: item.0.bytes)
      bytes.setLittle(UInt32(Self.tableSize + item.offset), at: place + 16)
      bytes.setLittle(item.length, at: place + 20)
      bytes.setLittle(Self.isRequired | (item.isOfDisk ? 2 : 0), at: place + 24)
    }
    bytes.setLittle(blockSize, at: Self.tableSize)
    bytes.setLittle(diskSize, at: Self.tableSize + 8)
    bytes.replaceSubrange(Self.tableSize + 16..<Self.tableSize + 32, with: identity)
    bytes.setLittle(sectorSize, at: Self.tableSize + 32)
    bytes.setLittle(UInt32(4096), at: Self.tableSize + 36)
    return bytes
  }
}
