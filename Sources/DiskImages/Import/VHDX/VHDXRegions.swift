/// Where the two parts of a VHDX file are that everything else is found by ([MS-VHDX] 2.2.3).
struct VHDXRegions {
  static let tableSize = 64 << 10
  static let places: [UInt64] = [192 << 10, 256 << 10]
  static let signature = "regi"
  private static let mostEntries = 2047
  private static let unit: UInt64 = 1 << 20

  struct Region {
    var offset: UInt64
    var length: UInt32
  }

  var blockTable: Region
  var metadata: Region

  init(blockTable: Region, metadata: Region) {
    self.blockTable = blockTable
    self.metadata = metadata
  }

  /// Reads the first of the two tables that is sound.
  init(of source: ImportFile) throws(DiskImageError) {
    for place in Self.places {
      let fields = try source.fields(at: place, count: Self.tableSize, of: "a region table")
      guard fields.has(Self.signature, at: 0),
        fields.little(UInt32.self, at: 4) == CRC32C.of(fields.bytes, checksumAt: 4)
      else { continue }
      try self.init(decoding: fields, of: source)
      return
    }
    throw source.damaged("neither of its region tables is sound")
  }

  private init(decoding fields: Fields, of source: ImportFile) throws(DiskImageError) {
    let count = fields.little(UInt32.self, at: 8)
    guard count <= Self.mostEntries else { throw source.damaged("\(count) regions") }
    var found: [VHDXIdentifier: Region] = [:]
    for index in 0..<Int(count) {
      let place = 16 + 32 * index
      let identifier = VHDXIdentifier(fields.bytes[place..<place + 16])
      let region = Region(
        offset: fields.little(UInt64.self, at: place + 16), length: fields.little(UInt32.self, at: place + 24)
      )
      guard region.offset >= Self.unit, region.offset % Self.unit == 0,
        UInt64(region.length) % Self.unit == 0,
        region.length > 0
      else { throw source.damaged("a region at \(region.offset) of \(region.length) bytes") }
      let isKnown = identifier == .blockTable || identifier == .metadata
      if !isKnown, fields.little(UInt32.self, at: place + 28) & 1 != 0 {
        throw source.unsupported("a region that has to be known")
      }
      guard found.updateValue(region, forKey: identifier) == nil else {
        throw source.damaged("a region twice")
      }
    }
    guard let blockTable = found[.blockTable], let metadata = found[.metadata] else {
      throw source.damaged("its block allocation table or its metadata are not there")
    }
    self.init(blockTable: blockTable, metadata: metadata)
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.tableSize)
    bytes.set(Self.signature, at: 0)
    bytes.setLittle(UInt32(2), at: 8)
    for (index, (identifier, region)) in [
      (VHDXIdentifier.blockTable, blockTable), (.metadata, metadata),
    ].enumerated() {
      let place = 16 + 32 * index
      bytes.replaceSubrange(place..<place + 16, with: identifier.bytes)
      bytes.setLittle(region.offset, at: place + 16)
      bytes.setLittle(region.length, at: place + 24)
      bytes.setLittle(UInt32(1), at: place + 28)
    }
    bytes.setLittle(CRC32C.of(bytes, checksumAt: 4), at: 4)
    return bytes
  }
}
