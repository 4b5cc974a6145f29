import System

/// SFTP's answers.
enum FileMessage {
  // Codes of a status.
  static let ok: UInt32 = 0
  static let end: UInt32 = 1
  static let unsupported: UInt32 = 8

  static let extensions: [(StaticString, StaticString)] = [
    ("posix-rename@openssh.com", "1"), ("statvfs@openssh.com", "2"), ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
  ]

  static func status(_ id: UInt32, _ code: UInt32, _ words: StaticString) -> [UInt8] {
    var answer = FilePacket()
    answer.byte(FilePacketKind.status)
    answer.integer(id)
    answer.integer(code)
    answer.string([UInt8](words))
    answer.string([UInt8]("en"))
    return answer.bytes
  }

  /// There are few codes; the words say more.
  static func status(_ id: UInt32, of failure: Failure) -> [UInt8] {
    switch failure.code {
    case 2: status(id, 2, "No such file or directory")
    case 1: status(id, 3, "Operation not permitted")
    case 13: status(id, 3, "Permission denied")
    case 17: status(id, 4, "File exists")
    case 20: status(id, 4, "Not a directory")
    case 21: status(id, 4, "Is a directory")
    case 22: status(id, 4, "Invalid argument")
    case 24: status(id, 4, "Too many open files")
    case 26: status(id, 4, "Text file busy")
    case 28: status(id, 4, "No space left on device")
    case 30: status(id, 4, "Read-only file system")
    case 36: status(id, 4, "File name too long")
    case 39: status(id, 4, "Directory not empty")
    case 40: status(id, 4, "Too many levels of symbolic links")
    default: status(id, 4, "Failure")
    }
  }

  static func handle(_ id: UInt32, _ number: Int) -> [UInt8] {
    var answer = FilePacket()
    answer.byte(FilePacketKind.handle)
    answer.integer(id)
    answer.integer(UInt32(4))
    answer.integer(UInt32(truncatingIfNeeded: number))
    return answer.bytes
  }

  static func attributes(_ id: UInt32, _ status: agent_statx) -> [UInt8] {
    var answer = FilePacket()
    answer.byte(FilePacketKind.attributes)
    answer.integer(id)
    answer.attributes(status)
    return answer.bytes
  }

  /// One name, and nothing of what it is.
  static func name(_ id: UInt32, _ path: [UInt8]) -> [UInt8] {
    var answer = FilePacket()
    answer.byte(FilePacketKind.name)
    answer.integer(id)
    answer.integer(UInt32(1))
    answer.string(path)
    answer.string(path)
    answer.integer(UInt32(0))
    return answer.bytes
  }

  /// Names of a folder with what they are; of one that has gone meanwhile nothing is said.
  static func names(_ id: UInt32, _ names: [[UInt8]], in folder: [UInt8]) -> [UInt8] {
    var answer = FilePacket()
    answer.byte(FilePacketKind.name)
    answer.integer(id)
    answer.integer(UInt32(truncatingIfNeeded: names.count))
    for name in names {
      answer.string(name)
      guard let status = try? Kernel.status(folder + [47] + name, follows: false) else {
        answer.string(name)
        answer.integer(UInt32(0))
        continue
      }
      answer.string(ListingLine.line(name, status))
      answer.attributes(status)
    }
    return answer.bytes
  }

  /// The 11 numbers of statvfs@openssh.com.
  static func space(_ id: UInt32, _ space: agent_statfs) -> [UInt8] {
    var answer = FilePacket()
    answer.byte(FilePacketKind.extendedReply)
    answer.integer(id)
    let identity =
      UInt64(UInt32(bitPattern: space.identity.0)) << 32 | UInt64(UInt32(bitPattern: space.identity.1))
    let readOnly: UInt64 = space.flags & 1 == 0 ? 0 : 1
    for value in [
      UInt64(bitPattern: space.block_size), UInt64(bitPattern: space.fragment_size), space.blocks,
      space.blocks_free, space.blocks_available, space.files, space.files_free, space.files_free, identity,
      readOnly, UInt64(bitPattern: space.name_length),
    ] { answer.integer(value) }
    return answer.bytes
  }
}

/// The bytes of a packet: numbers big-endian, strings behind their length.
struct FilePacket {
  private(set) var bytes: [UInt8] = []

  mutating func byte(_ value: UInt8) { bytes.append(value) }

  mutating func integer<Value: FixedWidthInteger & UnsignedInteger>(_ value: Value) {
    for place in (0..<Value.bitWidth / 8).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: value >> (8 * Value(place))))
    }
  }

  mutating func string(_ value: [UInt8]) {
    integer(UInt32(truncatingIfNeeded: value.count))
    bytes.append(contentsOf: value)
  }

  /// Size, owner, permissions and times.
  mutating func attributes(_ status: agent_statx) {
    integer(UInt32(15))
    integer(status.size)
    integer(status.user)
    integer(status.group)
    integer(UInt32(status.mode))
    integer(UInt32(truncatingIfNeeded: status.accessed.seconds))
    integer(UInt32(truncatingIfNeeded: status.modified.seconds))
  }
}

/// Takes a packet apart; any bytes may come.
struct FilePacketReader {
  private let bytes: [UInt8]
  private var place: Int

  init(_ bytes: [UInt8], from place: Int) {
    self.bytes = bytes
    self.place = place
  }

  mutating func integer() throws(Failure) -> UInt32 { UInt32(try number(4)) }

  /// A place in a file: not beyond what the kernel takes.
  mutating func offset() throws(Failure) -> Int {
    let value = try number(8)
    guard value < 1 << 62 else { throw Failure(code: Failure.invalid) }
    return Int(value)
  }

  private mutating func number(_ count: Int) throws(Failure) -> UInt64 {
    guard bytes.count - place >= count else { throw Failure(code: Failure.invalid) }
    defer { place += count }
    return bytes[place..<place + count].reduce(0) { $0 << 8 | UInt64($1) }
  }

  mutating func string() throws(Failure) -> [UInt8] {
    let count = Int(try integer())
    guard bytes.count - place >= count else { throw Failure(code: Failure.invalid) }
    defer { place += count }
    return Array(bytes[place..<place + count])
  }

  /// As clients write it; one from no root is the root's.
  mutating func path() throws(Failure) -> [UInt8] {
    let path = try string()
    return path.isEmpty ? [46] : path
  }

  mutating func handle() throws(Failure) -> Int {
    guard try integer() == 4 else { throw Failure(code: Failure.invalid) }
    return Int(try integer())
  }
}
