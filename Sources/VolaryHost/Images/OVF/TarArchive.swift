package import DiskImages
internal import HostSystem

/// The files of a tar archive (POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format", and GNU's
/// long names and large sizes), as parts of the archive's file. Nothing is unpacked, so that no name leads anywhere.
package struct TarArchive {
  package struct Member {
    package let name: String
    package let file: FilePart
  }

  static let blockSize: UInt64 = 512
  private static let mostMembers = 1000
  /// How many headers are looked at, those included that only say more about the next.
  private static let mostHeaders = 4 * mostMembers
  /// Bytes of what such a header says.
  private static let mostExtension: UInt64 = 64 << 10

  /// In the archive's order.
  package let members: [Member]

  /// Throws for what is no sound archive, or holds anything but regular files with plain names, each once.
  package init(_ file: any ImageFile) throws(ImageError) {
    do {
      members = try Self.read(file)
    } catch {
      switch error {
      case .unsound(let reason): throw ImageError("\(file.name) is no sound tar archive: \(reason)")
      case .system(let number): throw ImageError("cannot read \(file.name): \(number)")
      }
    }
  }

  private enum Failure: Error {
    case unsound(String)
    case system(Errno)
  }

  /// What a header in front says about the next file.
  private struct Extension {
    var name: [UInt8]?
    var size: UInt64?
  }

  private static func read(_ file: any ImageFile) throws(Failure) -> [Member] {
    var members: [Member] = []
    var names: Set<String> = []
    var next = Extension()
    var position: UInt64 = 0
    let end: UInt64
    do { end = try file.size() } catch { throw .system(error) }
    for _ in 0..<mostHeaders {
      guard position <= end, end - position >= blockSize else {
        // Whole archives end with two blocks of zeroes.
        throw .unsound("it was cut short")
      }
      let header = TarHeader(bytes: try bytes(file, position, blockSize))
      position += blockSize
      if header.isEmpty { return members }
      guard header.hasSoundChecksum else {
        throw .unsound("the header at \(position - blockSize) is damaged")
      }
      let isExtension = [UInt8(ascii: "x"), UInt8(ascii: "g"), UInt8(ascii: "L")].contains(header.type)
      guard let size = isExtension ? header.size : next.size ?? header.size, size <= end - position else {
        throw .unsound("the file at \(position - blockSize) reaches behind the archive's end")
      }
      if isExtension {
        guard size <= mostExtension else { throw .unsound("\(size) bytes about one file") }
        try extend(&next, type: header.type, with: try bytes(file, position, size))
      } else {
        let name = String(validating: next.name ?? header.name, as: UTF8.self) ?? ""
        guard header.type == 0 || header.type == UInt8(ascii: "0") else {
          throw .unsound("'\(plain(name))' is no regular file")
        }
        guard isPlain(name) else { throw .unsound("'\(plain(name))' is no name of a file by itself") }
        guard names.insert(name).inserted else { throw .unsound("'\(name)' is there twice") }
        guard members.count < mostMembers else { break }
        members.append(
          Member(name: name, file: FilePart(file, name: "\(file.name):\(name)", start: position, count: size))
        )
        next = Extension()
      }
      position += (size + blockSize - 1) / blockSize * blockSize
    }
    throw .unsound("more than \(mostMembers) files")
  }

  private static func bytes(_ file: any ImageFile, _ offset: UInt64, _ count: UInt64) throws(Failure)
    -> [UInt8]
  {
    do { return try file.bytes(at: offset, count: Int(count)) } catch { throw .system(error) }
  }

  private static func extend(_ next: inout Extension, type: UInt8, with bytes: [UInt8]) throws(Failure) {
    if type == UInt8(ascii: "L") {
      next.name = Array(bytes.prefix { $0 != 0 })
      return
    }
    // What is for all files says nothing that is asked for here.
    guard type == UInt8(ascii: "x") else { return }
    guard let records = PaxRecords(bytes) else { throw .unsound("a header of pax that is damaged") }
    if let path = records["path"] { next.name = path }
    if let size = records["size"] {
      guard let number = UInt64(String(decoding: size, as: UTF8.self)) else {
        throw .unsound("a header of pax that is damaged")
      }
      next.size = number
    }
  }

  /// Whether a name is one of a file in the package itself, and harmless to show.
  static func isPlain(_ name: String) -> Bool {
    !name.isEmpty && name.utf8.count <= 255 && !name.contains("/") && name != "." && name != ".."
      && name.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
  }

  private static func plain(_ name: String) -> String {
    String(String.UnicodeScalarView(name.unicodeScalars.prefix(100).map { $0.value < 0x20 ? "?" : $0 }))
  }
}

/// A block that says what follows it.
package struct TarHeader {
  static let byteCount = 512
  package var bytes: [UInt8]

  init(bytes: [UInt8]) { self.bytes = bytes }

  /// Of a regular file that nobody else may write to. `time` is seconds since 1970.
  package init(name: String, size: UInt64, time: UInt64) {
    bytes = [UInt8](repeating: 0, count: Self.byteCount)
    func set(_ text: some Sequence<UInt8>, _ offset: Int) {
      for (index, byte) in text.enumerated() { bytes[offset + index] = byte }
    }
    func octal(_ value: UInt64, _ offset: Int, _ digits: Int) {
      let text = String(value, radix: 8)
      set((String(repeating: "0", count: max(0, digits - text.count)) + text).utf8, offset)
    }
    set(name.utf8.prefix(100), 0)
    octal(0o644, 100, 7)
    octal(0, 108, 7)
    octal(0, 116, 7)
    if size < 1 << 33 {
      octal(size, 124, 11)
    } else {
      // GNU's and by now everybody's: a number in base 256.
      bytes[124] = 0x80
      withUnsafeBytes(of: size.bigEndian) { set($0, 128) }
    }
    octal(min(time, 1 << 33 - 1), 136, 11)
    bytes[156] = UInt8(ascii: "0")
    set("ustar".utf8, 257)
    set("00".utf8, 263)
    octal(checksum, 148, 6)
    bytes[154] = 0
    bytes[155] = 0x20
  }

  var isEmpty: Bool { bytes.allSatisfy { $0 == 0 } }
  var type: UInt8 { bytes[156] }

  /// The sum of all bytes, with spaces in the place of the sum itself.
  private var checksum: UInt64 {
    bytes.enumerated().reduce(0) { $0 + ((148..<156).contains($1.offset) ? 0x20 : UInt64($1.element)) }
  }

  var hasSoundChecksum: Bool { number(148, 8) == checksum }

  /// Nil for what is no number.
  package var size: UInt64? { number(124, 12) }

  var name: [UInt8] {
    func text(_ offset: Int, _ count: Int) -> ArraySlice<UInt8> {
      bytes[offset..<offset + count].prefix { $0 != 0 }
    }
    // The first part of a long path; GNU's headers have other things there.
    let prefix = bytes[257..<263].elementsEqual("ustar\0".utf8) ? text(345, 155) : []
    return prefix.isEmpty ? Array(text(0, 100)) : prefix + [UInt8(ascii: "/")] + text(0, 100)
  }

  private func number(_ offset: Int, _ count: Int) -> UInt64? {
    let field = bytes[offset..<offset + count]
    if field.first == 0x80 {
      let (high, low) = (field.dropFirst().dropLast(8), field.suffix(8))
      guard count > 8, high.allSatisfy({ $0 == 0 }) else { return nil }
      return low.reduce(0) { $0 << 8 | UInt64($1) }
    }
    let digits = field.drop { $0 == 0x20 }.prefix { $0 != 0 && $0 != 0x20 }
    guard digits.allSatisfy({ (0x30...0x37).contains($0) }) else { return nil }
    return digits.reduce(0) { $0 << 3 | UInt64($1 - 0x30) }
  }
}

/// What a header of pax says: lines of a length, a key and a value.
struct PaxRecords {
  private var values: [String: [UInt8]] = [:]

  /// Nil for what is damaged.
  init?(_ bytes: [UInt8]) {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard let space = rest.prefix(21).firstIndex(of: 0x20),
        let length = Int(String(decoding: rest[rest.startIndex..<space], as: UTF8.self)), length > 0,
        length <= rest.count, rest.startIndex + length > space + 1
      else { return nil }
      let record = rest[(space + 1)..<(rest.startIndex + length)]
      guard record.last == 0x0A, let equals = record.firstIndex(of: UInt8(ascii: "=")) else { return nil }
      values[String(decoding: record[..<equals], as: UTF8.self)] = Array(record[(equals + 1)...].dropLast())
      rest = rest.dropFirst(length)
    }
  }

  subscript(_ key: String) -> [UInt8]? { values[key] }
}
