/// A header of a VHDX file, of which there are two that take turns ([MS-VHDX] 2.2.2).
struct VHDXHeader {
  static let byteCount = 4096
  static let signature = "head"
  static let places: [UInt64] = [64 << 10, 128 << 10]

  var sequence: UInt64 = 0
  var fileWrite = VHDXIdentifier.none
  var dataWrite = VHDXIdentifier.none
  /// Which entries of the log count; ``VHDXIdentifier/none`` when none does.
  var log = VHDXIdentifier.none
  var logVersion: UInt16 = 0
  var version: UInt16 = 1
  var logLength: UInt32
  var logOffset: UInt64

  init(logOffset: UInt64, logLength: UInt32) {
    self.logOffset = logOffset
    self.logLength = logLength
  }

  /// Nil for what is no header, or has a wrong checksum.
  private init?(decoding fields: Fields) {
    guard fields.has(Self.signature, at: 0),
      fields.little(UInt32.self, at: 4) == CRC32C.of(fields.bytes, checksumAt: 4)
    else { return nil }
    sequence = fields.little(UInt64.self, at: 8)
    fileWrite = VHDXIdentifier(fields.bytes[16..<32])
    dataWrite = VHDXIdentifier(fields.bytes[32..<48])
    log = VHDXIdentifier(fields.bytes[48..<64])
    logVersion = fields.little(UInt16.self, at: 64)
    version = fields.little(UInt16.self, at: 66)
    logLength = fields.little(UInt32.self, at: 68)
    logOffset = fields.little(UInt64.self, at: 72)
  }

  /// The current header: the newer one of those that are sound.
  static func current(of source: ImportFile) throws(DiskImageError) -> VHDXHeader {
    var current: VHDXHeader?
    for place in places {
      let fields = try source.fields(at: place, count: byteCount, of: "a header")
      guard let header = VHDXHeader(decoding: fields) else { continue }
      if current.map({ $0.sequence < header.sequence }) ?? true { current = header }
    }
    guard let current else { throw source.damaged("neither of its headers is sound") }
    guard current.version == 1 else { throw source.unsupported("version \(current.version)") }
    return current
  }

  func encoded() -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Self.byteCount)
    bytes.set(Self.signature, at: 0)
    bytes.setLittle(sequence, at: 8)
    bytes.replaceSubrange(16..<32, with: fileWrite.bytes)
    bytes.replaceSubrange(32..<48, with: dataWrite.bytes)
    bytes.replaceSubrange(48..<64, with: log.bytes)
    bytes.setLittle(logVersion, at: 64)
    bytes.setLittle(version, at: 66)
    bytes.setLittle(logLength, at: 68)
    bytes.setLittle(logOffset, at: 72)
    bytes.setLittle(CRC32C.of(bytes, checksumAt: 4), at: 4)
    return bytes
  }
}
