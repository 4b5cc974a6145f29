/// Writes a device tree in its flattened form: header of version 17, memory reservations, structure,
/// strings (Devicetree Specification v0.4, chapter 5).
struct DeviceTreeWriter {
  private var structure: [UInt8] = []
  private var strings: [UInt8] = []
  /// Where each property name is among the strings, so that it is there once.
  private var nameOffsets: [String: UInt32] = [:]

  private init() {}

  static func blob(of tree: DeviceTree, padding: Int) -> [UInt8] {
    var writer = DeviceTreeWriter()
    writer.write(tree.root)
    writer.structure.append(bigEndian: DeviceTreeFormat.Token.end)
    return writer.assemble(tree, padding: padding)
  }

  /// Puts the blocks behind the header, in the order that the specification asks for.
  private func assemble(_ tree: DeviceTree, padding: Int) -> [UInt8] {
    // The header is a multiple of 8 bytes, as the reservations' alignment wants.
    let reservationsOffset = DeviceTreeFormat.Header.size
    let structureOffset = reservationsOffset + 16 * (tree.reservations.count + 1)
    let stringsOffset = structureOffset + structure.count
    let totalSize = (stringsOffset + strings.count + padding + 7) & ~7

    var blob: [UInt8] = []
    blob.reserveCapacity(totalSize)
    blob.append(bigEndian: DeviceTreeFormat.magic)
    for field in [totalSize, structureOffset, stringsOffset, reservationsOffset] {
      blob.append(bigEndian: UInt32(field))
    }
    blob.append(bigEndian: DeviceTreeFormat.version)
    blob.append(bigEndian: DeviceTreeFormat.lastCompatibleVersion)
    blob.append(bigEndian: tree.bootCPU)
    blob.append(bigEndian: UInt32(strings.count))
    blob.append(bigEndian: UInt32(structure.count))

    for reservation in tree.reservations + [DeviceTree.Reservation(address: 0, size: 0)] {
      blob.append(bigEndian: reservation.address)
      blob.append(bigEndian: reservation.size)
    }
    blob += structure
    blob += strings
    blob += [UInt8](repeating: 0, count: totalSize - blob.count)
    return blob
  }

  private mutating func write(_ node: DeviceTree.Node) {
    structure.append(bigEndian: DeviceTreeFormat.Token.beginNode)
    structure += node.name.utf8
    structure.append(0)
    alignStructure()
    for property in node.properties {
      structure.append(bigEndian: DeviceTreeFormat.Token.property)
      structure.append(bigEndian: UInt32(property.value.bytes.count))
      structure.append(bigEndian: offset(ofName: property.name))
      structure += property.value.bytes
      alignStructure()
    }
    for child in node.children { write(child) }
    structure.append(bigEndian: DeviceTreeFormat.Token.endNode)
  }

  private mutating func offset(ofName name: String) -> UInt32 {
    if let offset = nameOffsets[name] { return offset }
    let offset = UInt32(strings.count)
    nameOffsets[name] = offset
    strings += name.utf8
    strings.append(0)
    return offset
  }

  /// Tokens are aligned to four bytes.
  private mutating func alignStructure() {
    while structure.count % 4 != 0 { structure.append(0) }
  }
}
