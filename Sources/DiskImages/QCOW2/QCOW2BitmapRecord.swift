internal import HostSystem

/// An entry of the bitmap directory (section Bitmap directory).
struct QCOW2BitmapRecord: Equatable, Sendable {
  static let maximumDirectorySize: UInt64 = 16 << 20
  static let maximumCount: UInt32 = 65535
  static let maximumNameLength = 1023
  static let granularityBitsRange: ClosedRange<UInt8> = 9...31

  static let inUse: UInt32 = 1
  static let auto: UInt32 = 2
  static let extraDataCompatible: UInt32 = 4

  var tableOffset: UInt64 = 0
  var tableSize: UInt32 = 0
  var flags: UInt32 = 0
  var type: UInt8 = 1
  var granularityBits: UInt8 = 16
  var extraData: [UInt8] = []
  var name: [UInt8] = []

  /// Whether this program may look at the bits.
  var isUsable: Bool {
    flags & Self.inUse == 0 && type == 1 && Self.granularityBitsRange.contains(granularityBits)
      && (extraData.isEmpty || flags & Self.extraDataCompatible != 0)
  }

  func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    func append(_ value: some FixedWidthInteger) {
      withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
    append(tableOffset)
    append(tableSize)
    append(flags)
    append(type)
    append(granularityBits)
    append(UInt16(name.count))
    append(UInt32(extraData.count))
    bytes += extraData
    bytes += name
    bytes += repeatElement(0, count: -bytes.count & 7)
    return bytes
  }

  /// Where the header's extension says that the directory is; nil without a consistent one.
  static func directory(_ header: QCOW2Header) -> (count: UInt32, offset: UInt64, size: UInt64)? {
    guard header.autoclear & QCOW2Header.Features.bitmaps != 0,
      let data = header.extensions.first(where: { $0.type == QCOW2Header.Extension.bitmaps })?.data,
      data.count >= 24
    else { return nil }
    return (
      data.bigEndian(UInt32.self, at: 0), data.bigEndian(UInt64.self, at: 16),
      data.bigEndian(UInt64.self, at: 8)
    )
  }

  /// Reads a directory that anybody may have written.
  static func directory(
    of header: QCOW2Header, in file: QCOW2File
  ) throws(DiskImageError) -> [QCOW2BitmapRecord] {
    guard let place = directory(header) else { return [] }
    func damaged(_ reason: String) -> DiskImageError {
      .damaged(name: file.file.name, format: .qcow2, reason: reason)
    }
    guard place.count <= maximumCount, place.size <= maximumDirectorySize,
      place.offset % header.clusterSize == 0,
      place.offset <= file.size, place.size <= file.size - place.offset
    else { throw damaged("bitmap directory of \(place.size) bytes at \(place.offset)") }
    let bytes: [UInt8]
    do {
      bytes = try file.file.bytes(at: place.offset, count: Int(place.size))
    } catch {
      throw .system(name: file.file.name, operation: "read the bitmaps of", error)
    }
    var records: [QCOW2BitmapRecord] = []
    var position = 0
    for number in 0..<place.count {
      guard bytes.count - position >= 24 else { throw damaged("bitmap \(number) is cut off") }
      var record = QCOW2BitmapRecord()
      record.tableOffset = bytes.bigEndian(UInt64.self, at: position)
      record.tableSize = bytes.bigEndian(UInt32.self, at: position + 8)
      record.flags = bytes.bigEndian(UInt32.self, at: position + 12)
      record.type = bytes[position + 16]
      record.granularityBits = bytes[position + 17]
      let nameCount = Int(bytes.bigEndian(UInt16.self, at: position + 18))
      let extraCount = Int(bytes.bigEndian(UInt32.self, at: position + 20))
      position += 24
      guard nameCount > 0, nameCount <= maximumNameLength, extraCount <= bytes.count,
        bytes.count - position >= nameCount + extraCount
      else { throw damaged("bitmap \(number) is cut off") }
      record.extraData = Array(bytes[position..<position + extraCount])
      record.name = Array(bytes[position + extraCount..<position + extraCount + nameCount])
      position = min(bytes.count, (position + extraCount + nameCount + 7) & ~7)
      guard record.tableOffset % header.clusterSize == 0, record.tableOffset <= file.size,
        UInt64(record.tableSize) * 8 <= file.size - record.tableOffset
      else { throw damaged("the table of bitmap \(number)") }
      records.append(record)
    }
    return records
  }
}

/// A dirty bitmap: a bit for each 2^granularityBits bytes of the disk, lowest first. Guarded by the image's lock.
final class QCOW2Bitmap {
  /// Bytes of bits that an image's bitmaps may take in memory together.
  static let memoryLimit = 256 << 20

  var record: QCOW2BitmapRecord
  /// Nil while they are only in the file.
  var words: [UInt64]?
  /// Whether the file has them as they are.
  var isStored = true

  init(_ record: QCOW2BitmapRecord) { self.record = record }

  var isEnabled: Bool { record.flags & QCOW2BitmapRecord.auto != 0 }

  func bitCount(_ size: UInt64) -> UInt64 {
    let bits = UInt64(record.granularityBits & 63)
    return size >> bits + (size & (1 << bits - 1) == 0 ? 0 : 1)
  }

  func wordCount(_ size: UInt64) -> Int { Int((bitCount(size) + 63) / 64) }

  /// Sets or clears the bits of a range of bytes, not empty.
  func set(_ range: Range<UInt64>, to isDirty: Bool = true) {
    let first = range.lowerBound >> UInt64(record.granularityBits)
    let last = (range.upperBound - 1) >> UInt64(record.granularityBits)
    guard let count = words?.count else { return }
    var bit = first
    while bit <= last {
      let word = Int(bit / 64)
      guard word < count else { return }
      let end = min(last, bit | 63)
      let mask = (UInt64.max >> (63 - (end - bit))) << (bit % 64)
      if isDirty { words?[word] |= mask } else { words?[word] &= ~mask }
      bit = end + 1
    }
  }

  func isDirty(_ bit: UInt64) -> Bool {
    guard let words, bit / 64 < UInt64(words.count) else { return false }
    return words[Int(bit / 64)] >> (bit % 64) & 1 != 0
  }
}
