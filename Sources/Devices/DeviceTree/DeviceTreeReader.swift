/// Reads a flattened device tree of version 16 or later that anybody may have written: every offset is
/// checked before it is followed, and size, depth and names are bounded, so that what comes out is at
/// most some dozen times as large as what went in.
struct DeviceTreeReader {
  private typealias Format = DeviceTreeFormat

  private let bytes: [UInt8]
  private let structure: Range<Int>
  private let strings: Range<Int>
  /// Where the next token is.
  private var position: Int
  /// The highest phandle seen, of those below 2³¹.
  private var lastPHandle: UInt32 = 0

  static func read(_ bytes: [UInt8]) throws(DeviceTreeError) -> DeviceTree {
    var reader = try DeviceTreeReader(bytes)
    let reservations = try reader.readReservations()
    let root = try reader.readStructure()
    return DeviceTree(
      root: root, reservations: reservations, bootCPU: try reader.word(at: Format.Header.bootCPU),
      lastPHandle: reader.lastPHandle)
  }

  /// Checks the header and what it says of the blocks.
  private init(_ input: [UInt8]) throws(DeviceTreeError) {
    func field(_ offset: Int) -> UInt32 {
      input[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
    guard input.count >= Format.Header.size16 else { throw .truncated }
    guard input.count <= Format.maximumSize else { throw .tooLarge(size: input.count) }
    guard field(Format.Header.magic) == Format.magic else { throw .badMagic(field(Format.Header.magic)) }
    let version = field(Format.Header.version)
    let lastCompatible = field(Format.Header.lastCompatibleVersion)
    guard version >= Format.lastCompatibleVersion, lastCompatible <= Format.version else {
      throw .unsupportedVersion(version, lastCompatible: lastCompatible)
    }
    let knowsStructureSize = version >= Format.version
    let size = Int(field(Format.Header.totalSize))
    let headerSize = knowsStructureSize ? Format.Header.size : Format.Header.size16
    guard size >= headerSize, size <= input.count else { throw .truncated }

    let structureStart = Int(field(Format.Header.structureOffset))
    let structureSize = knowsStructureSize ? Int(field(Format.Header.structureSize)) : size - structureStart
    guard structureStart % 4 == 0, structureSize >= 0, structureStart + structureSize <= size else {
      throw .badBlock(.structure)
    }
    let stringsStart = Int(field(Format.Header.stringsOffset))
    let stringsSize = Int(field(Format.Header.stringsSize))
    guard stringsStart + stringsSize <= size else { throw .badBlock(.strings) }

    bytes = Array(input.prefix(size))
    structure = structureStart..<structureStart + structureSize
    strings = stringsStart..<stringsStart + stringsSize
    position = structureStart
  }

  // MARK: - Memory reservations

  private func readReservations() throws(DeviceTreeError) -> [DeviceTree.Reservation] {
    var offset = Int(try word(at: Format.Header.reservationsOffset))
    guard offset % 8 == 0, offset <= bytes.count else { throw .badBlock(.reservations) }
    var reservations: [DeviceTree.Reservation] = []
    while offset + 16 <= bytes.count {
      let reservation = DeviceTree.Reservation(
        address: UInt64(try word(at: offset)) << 32 | UInt64(try word(at: offset + 4)),
        size: UInt64(try word(at: offset + 8)) << 32 | UInt64(try word(at: offset + 12)))
      if reservation == DeviceTree.Reservation(address: 0, size: 0) { return reservations }
      reservations.append(reservation)
      offset += 16
    }
    throw .unterminated(.reservations)
  }

  // MARK: - Structure

  /// A node whose end is still to come.
  private struct OpenNode {
    let name: String
    var properties: [DeviceTree.Property] = []
    var children: [DeviceTree.Node] = []
    var propertyNames: Set<String> = []
    var childNames: Set<String> = []
  }

  /// Reads the root and all below it. Open nodes are on a stack of our own: depth is the blob's choice.
  private mutating func readStructure() throws(DeviceTreeError) -> DeviceTree.Node {
    var open: [OpenNode] = []
    var root: DeviceTree.Node?
    while true {
      let offset = position
      let token = try nextWord()
      switch token {
      case Format.Token.nop: continue

      case Format.Token.beginNode:
        guard root == nil else { throw .badToken(token, offset: offset) }
        guard open.count < Format.maximumDepth else { throw .tooDeep(offset: offset) }
        open.append(OpenNode(name: try nextNodeName(isRoot: open.isEmpty)))

      case Format.Token.property:
        guard let last = open.indices.last else { throw .badToken(token, offset: offset) }
        guard open[last].children.isEmpty else { throw .propertyAfterChild(offset: offset) }
        let property = try nextProperty()
        guard open[last].propertyNames.insert(property.name).inserted else {
          throw .duplicateName(offset: offset)
        }
        open[last].properties.append(property)

      case Format.Token.endNode:
        guard let closed = open.popLast() else { throw .badToken(token, offset: offset) }
        let node = DeviceTree.Node(
          name: closed.name, properties: closed.properties, children: closed.children)
        guard let parent = open.indices.last else {
          root = node
          continue
        }
        guard open[parent].childNames.insert(node.name).inserted else {
          throw .duplicateName(offset: offset)
        }
        open[parent].children.append(node)

      case Format.Token.end:
        guard let root, open.isEmpty else { throw .badToken(token, offset: offset) }
        return root

      default: throw .badToken(token, offset: offset)
      }
    }
  }

  /// The name behind a begin-node token.
  private mutating func nextNodeName(isRoot: Bool) throws(DeviceTreeError) -> String {
    let start = position
    let name = try self.name(at: start, in: structure)
    guard isRoot ? name.isEmpty : Format.isNodeName(name) else { throw .badName(offset: start) }
    skip(name.count + 1)
    return String(decoding: name, as: UTF8.self)
  }

  /// The property behind a property token: its value's size, its name's offset, the value.
  private mutating func nextProperty() throws(DeviceTreeError) -> DeviceTree.Property {
    let size = Int(try nextWord())
    let nameOffset = strings.lowerBound + Int(try nextWord())
    guard size <= structure.upperBound - position else { throw .unterminated(.structure) }
    let value = DeviceTree.Value.bytes(Array(bytes[position..<position + size]))
    skip(size)

    let name = try self.name(at: nameOffset, in: strings)
    guard Format.isPropertyName(name) else { throw .badName(offset: nameOffset) }
    let property = DeviceTree.Property(name: String(decoding: name, as: UTF8.self), value: value)
    // New phandles start behind those read. High ones are not counted, so that none run out; nothing gives
    // out so many that they would meet.
    if property.name == "phandle", let phandle = value.phandle, phandle.rawValue < 1 << 31 {
      lastPHandle = max(lastPHandle, phandle.rawValue)
    }
    return property
  }

  // MARK: - Bytes

  private mutating func nextWord() throws(DeviceTreeError) -> UInt32 {
    guard structure.upperBound - position >= 4 else { throw .unterminated(.structure) }
    let word = try word(at: position)
    position += 4
    return word
  }

  /// Goes past `count` bytes that were checked to be there, and on to the next token's alignment.
  private mutating func skip(_ count: Int) { position = (position + count + 3) & ~3 }

  private func word(at offset: Int) throws(DeviceTreeError) -> UInt32 {
    guard offset >= 0, offset + 4 <= bytes.count else { throw .truncated }
    return bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// The bytes from `offset` to the next NUL, which must be in the block and not too far.
  private func name(at offset: Int, in block: Range<Int>) throws(DeviceTreeError) -> ArraySlice<UInt8> {
    guard block.contains(offset) else { throw .badName(offset: offset) }
    let window = bytes[offset..<min(block.upperBound, offset + Format.maximumNameLength + 1)]
    guard let end = window.firstIndex(of: 0) else { throw .badName(offset: offset) }
    return bytes[offset..<end]
  }
}
