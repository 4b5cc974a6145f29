internal import Glibc

/// A socket to the kernel's tables of network devices and their addresses (rtnetlink(7), netlink(7)). It sees those of
/// the network namespace that this process is in.
struct RouteSocket {
  enum Message: UInt16 {
    case newLink = 16
    case getLink = 18
    case setLink = 19
    case newAddress = 20
    case getAddress = 22
  }

  private enum Flags {
    static let request: UInt16 = 0x001
    static let acknowledge: UInt16 = 0x004
    static let dump: UInt16 = 0x300
  }

  /// `struct nlmsghdr` has 16 bytes; its types of its own are below these.
  private static let headerSize = 16
  private static let errorType: UInt16 = 2
  private static let doneType: UInt16 = 3
  private static let family: Int32 = 16  // AF_NETLINK

  private let descriptor: Descriptor

  init() throws(Errno) {
    let type = Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    descriptor = Descriptor(owning: Int32(try retrying { Int(socket(Self.family, type, 0)) }))
    var size: Int32 = 1 << 20
    setsockopt(descriptor.raw, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
  }

  /// All entries of a table: the bodies of the messages behind their headers.
  func dump(_ request: Message, answer: Message, body: [UInt8]) throws(Errno) -> [[UInt8]] {
    try send(request, flags: Flags.request | Flags.dump, body)
    var entries: [[UInt8]] = []
    while true {
      let received = try receive()
      var rest = received[...]
      while let (type, content) = Self.next(&rest) {
        switch type {
        case Self.doneType: return entries
        case Self.errorType: throw Errno(-Bytes.int32(content, 0))
        case answer.rawValue: entries.append(content)
        default: break
        }
      }
    }
  }

  /// Has the kernel change something.
  func change(_ request: Message, body: [UInt8]) throws(Errno) {
    try send(request, flags: Flags.request | Flags.acknowledge, body)
    let received = try receive()
    var rest = received[...]
    guard let (type, content) = Self.next(&rest), type == Self.errorType else { throw .invalid }
    let code = -Bytes.int32(content, 0)
    if code != 0 { throw Errno(code) }
  }

  private func send(_ type: Message, flags: UInt16, _ body: [UInt8]) throws(Errno) {
    var message = Bytes.of(UInt32(Self.headerSize + body.count)) + Bytes.of(type.rawValue) + Bytes.of(flags)
    // Answers come in the order of the requests; nobody looks at the number and the port.
    message += Bytes.of(UInt32(1)) + Bytes.of(UInt32(0)) + body
    _ = try retrying { message.withUnsafeBytes { Glibc.send(descriptor.raw, $0.baseAddress, $0.count, 0) } }
  }

  private func receive() throws(Errno) -> [UInt8] {
    // The kernel cuts its answers into 32 KiB at most.
    var buffer = [UInt8](repeating: 0, count: 64 << 10)
    let count = try retrying {
      buffer.withUnsafeMutableBytes { recv(descriptor.raw, $0.baseAddress, $0.count, 0) }
    }
    return Array(buffer.prefix(count))
  }

  /// The next message of what was received.
  private static func next(_ rest: inout ArraySlice<UInt8>) -> (type: UInt16, content: [UInt8])? {
    guard rest.count >= headerSize else { return nil }
    let head = Array(rest.prefix(headerSize))
    let length = Int(Bytes.uint32(head, 0))
    guard length >= headerSize, length <= rest.count else { return nil }
    let content = Array(rest.dropFirst(headerSize).prefix(length - headerSize))
    rest = rest.dropFirst((length + 3) & ~3)
    return (Bytes.uint16(head, 4), content)
  }

  // MARK: - Attributes

  /// The attributes (`struct rtattr`) from an offset on, by their types.
  static func attributes(_ bytes: [UInt8], from start: Int) -> [UInt16: [UInt8]] {
    var found: [UInt16: [UInt8]] = [:]
    var offset = start
    while offset + 4 <= bytes.count {
      let length = Int(Bytes.uint16(bytes, offset))
      guard length >= 4, offset + length <= bytes.count else { break }
      // The upper bits say that it is nested, or in which order its bytes are.
      found[Bytes.uint16(bytes, offset + 2) & 0x3FFF] = Array(bytes[offset + 4..<offset + length])
      offset += (length + 3) & ~3
    }
    return found
  }

  static func attribute(_ type: UInt16, _ value: UInt32) -> [UInt8] {
    Bytes.of(UInt16(8)) + Bytes.of(type) + Bytes.of(value)
  }
}

/// Numbers in the host's order among bytes; 0 beyond their end.
enum Bytes {
  static func of(_ value: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: value) { Array($0) } }

  static func uint16(_ bytes: [UInt8], _ offset: Int) -> UInt16 { number(bytes, offset) }
  static func uint32(_ bytes: [UInt8], _ offset: Int) -> UInt32 { number(bytes, offset) }
  static func uint64(_ bytes: [UInt8], _ offset: Int) -> UInt64 { number(bytes, offset) }
  static func int32(_ bytes: [UInt8], _ offset: Int) -> Int32 { number(bytes, offset) }

  private static func number<Number: FixedWidthInteger>(_ bytes: [UInt8], _ offset: Int) -> Number {
    let size = Number.bitWidth / 8
    guard offset >= 0, offset + size <= bytes.count else { return 0 }
    return bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: Number.self) }
  }
}
