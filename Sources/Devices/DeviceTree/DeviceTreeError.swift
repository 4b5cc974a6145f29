/// What can be wrong with a flattened device tree. Offsets are bytes from the blob's start.
package enum DeviceTreeError: Error, Equatable, Sendable {
  /// The bytes end before the header, or before the size that it states.
  case truncated
  /// More bytes than we accept.
  case tooLarge(size: Int)
  /// Not a device tree: the first four bytes are others.
  case badMagic(UInt32)
  /// A version we cannot read.
  case unsupportedVersion(UInt32, lastCompatible: UInt32)
  /// The header puts a block outside of the blob, or at an address not aligned for it.
  case badBlock(Block)
  /// A block has no end.
  case unterminated(Block)
  /// No such token, or not at this place.
  case badToken(UInt32, offset: Int)
  /// A node's or property's name has no end, is too long, or has characters that names have not.
  case badName(offset: Int)
  /// A second child or property of the same name.
  case duplicateName(offset: Int)
  /// A property after a child of the same node.
  case propertyAfterChild(offset: Int)
  /// Nodes nested too deeply.
  case tooDeep(offset: Int)

  /// The parts of a blob (section 5.1).
  package enum Block: Equatable, Sendable { case reservations, structure, strings }
}
