/// A writer of CD-ROM images with a few files in their root: ISO 9660 (ECMA-119) and, for names as they are, Joliet.
///
/// No file bears a time, so that equal contents make equal images.
package struct ISOImage {
  /// Bytes of a logical sector and block.
  private static let sector = 2048
  /// Sectors, in the order in which they come: 16 are the system's.
  private enum Place {
    static let primary = 16
    static let joliet = 17
    static let terminator = 18
    static let primaryTables = (little: 19, big: 20)
    static let jolietTables = (little: 21, big: 22)
    static let primaryRoot = 23
    static let jolietRoot = 24
    static let files = 25
  }

  private struct File {
    let name: String
    let contents: [UInt8]
    /// Its first sector.
    let place: Int
  }

  private let label: String
  private var files: [File] = []
  private var end = Place.files

  /// `label` has at most 16 characters of ASCII.
  package init(label: String) {
    precondition(label.utf8.count <= 16, "Joliet holds 16 characters of a label")
    self.label = label
  }

  /// Adds a file to the root. `name` is ASCII, of other eight first characters than those that are there.
  package mutating func addFile(_ name: String, _ contents: [UInt8]) {
    files.append(File(name: name, contents: contents, place: end))
    end += contents.count.divided(by: Self.sector)
  }

  /// The image, of whole sectors.
  package var bytes: [UInt8] {
    var bytes = [UInt8](repeating: 0, count: Place.primary * Self.sector)
    bytes += descriptor(joliet: false)
    bytes += descriptor(joliet: true)
    bytes += Self.padded([255] + Array("CD001".utf8) + [1])
    for (root, _) in [(Place.primaryRoot, Place.primaryTables), (Place.jolietRoot, Place.jolietTables)] {
      // One entry, the root: its name's length, no attributes, where it is, its parent, which it is itself.
      bytes += Self.padded([1, 0] + Self.little(UInt32(root)) + [1, 0, 0, 0])
      bytes += Self.padded([1, 0] + Self.little(UInt32(root)).reversed() + [0, 1, 0, 0])
    }
    bytes += directory(joliet: false)
    bytes += directory(joliet: true)
    for file in files { bytes += Self.padded(file.contents) }
    return bytes
  }

  // MARK: - Volume descriptors

  /// ECMA-119 8.4 and 8.5.
  private func descriptor(joliet: Bool) -> [UInt8] {
    let (root, tables) =
      joliet ? (Place.jolietRoot, Place.jolietTables) : (Place.primaryRoot, Place.primaryTables)
    func text(_ text: String, _ length: Int) -> [UInt8] {
      let space: [UInt8] = joliet ? [0, 32] : [32]
      let characters = joliet ? Self.wide(text) : Array(text.utf8)
      return characters + (0..<(length - characters.count)).map { space[$0 % space.count] }
    }
    var bytes: [UInt8] = [joliet ? 2 : 1] + Array("CD001".utf8) + [1, 0]
    bytes += text("", 32) + text(label, 32) + [UInt8](repeating: 0, count: 8)
    bytes += Self.both(UInt32(end))
    // Which characters names have: UCS-2, level 3.
    bytes += joliet ? Array("%/E".utf8) + [UInt8](repeating: 0, count: 29) : [UInt8](repeating: 0, count: 32)
    // One volume of one, and its block's size.
    bytes += Self.both(1 as UInt16) + Self.both(1 as UInt16) + Self.both(UInt16(Self.sector))
    bytes += Self.both(10 as UInt32)
    bytes += Self.little(UInt32(tables.little)) + [0, 0, 0, 0]
    bytes += Self.little(UInt32(tables.big)).reversed() + [0, 0, 0, 0]
    bytes += Self.record([0], place: root, length: Self.sector, isDirectory: true)
    // Volume set, publisher, preparer and application; then files that say more.
    for length in [128, 128, 128, 128, 37, 37, 37] { bytes += text("", length) }
    let noTime = [UInt8](repeating: UInt8(ascii: "0"), count: 16) + [0]
    bytes += noTime + noTime + noTime + noTime + [1]
    return Self.padded(bytes)
  }

  // MARK: - Directories

  private func directory(joliet: Bool) -> [UInt8] {
    let root = joliet ? Place.jolietRoot : Place.primaryRoot
    var bytes: [UInt8] = []
    // The directory itself, and its parent, which the root is too.
    for name: UInt8 in [0, 1] {
      bytes += Self.record([name], place: root, length: Self.sector, isDirectory: true)
    }
    for file in files.sorted(by: { $0.name < $1.name }) {
      let name = joliet ? Self.wide(file.name + ";1") : Array((Self.short(file.name) + ".;1").utf8)
      bytes += Self.record(name, place: file.place, length: file.contents.count, isDirectory: false)
    }
    precondition(bytes.count <= Self.sector, "a directory of more than a sector")
    return Self.padded(bytes)
  }

  /// ECMA-119 9.1.
  private static func record(_ name: [UInt8], place: Int, length: Int, isDirectory: Bool) -> [UInt8] {
    var bytes: [UInt8] = [0, 0] + both(UInt32(place)) + both(UInt32(length))
    bytes += [UInt8](repeating: 0, count: 7) + [isDirectory ? 2 : 0, 0, 0] + both(1 as UInt16)
    bytes += [UInt8(name.count)] + name
    if !bytes.count.isMultiple(of: 2) { bytes.append(0) }
    bytes[0] = UInt8(bytes.count)
    return bytes
  }

  /// Eight characters that the oldest readers know (ECMA-119 10.1).
  private static func short(_ name: String) -> String {
    String(name.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" }.prefix(8))
  }

  private static func wide(_ text: String) -> [UInt8] {
    text.utf16.flatMap { [UInt8(truncatingIfNeeded: $0 >> 8), UInt8(truncatingIfNeeded: $0)] }
  }

  // MARK: - Numbers

  private static func little(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
  }

  /// Little end first, then big end first (ECMA-119 7.2.3, 7.3.3).
  private static func both(_ value: some FixedWidthInteger) -> [UInt8] {
    let bytes = little(value)
    return bytes + bytes.reversed()
  }

  private static func padded(_ bytes: [UInt8]) -> [UInt8] {
    bytes + [UInt8](repeating: 0, count: bytes.count.divided(by: sector) * sector - bytes.count)
  }
}

extension Int {
  /// The quotient, rounded up.
  fileprivate func divided(by divisor: Int) -> Int { (self + divisor - 1) / divisor }
}
