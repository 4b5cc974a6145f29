/// A descriptor of a split virtqueue, copied out of guest memory (virtio 1.3 §2.7.5).
struct SplitDescriptor {
  /// Bytes of a descriptor.
  static let size = 16

  /// Guest-physical address of the buffer.
  let address: UInt64
  /// Bytes of the buffer.
  let count: UInt32
  let flags: UInt16
  /// The chain's next descriptor, if it has one.
  let next: UInt16

  /// Reads the descriptor of a number from a copied table.
  init(_ table: UnsafeRawBufferPointer, number: Int) {
    let start = number * Self.size
    address = UInt64(littleEndian: table.loadUnaligned(fromByteOffset: start, as: UInt64.self))
    count = UInt32(littleEndian: table.loadUnaligned(fromByteOffset: start + 8, as: UInt32.self))
    flags = UInt16(littleEndian: table.loadUnaligned(fromByteOffset: start + 12, as: UInt16.self))
    next = UInt16(littleEndian: table.loadUnaligned(fromByteOffset: start + 14, as: UInt16.self))
  }

  var hasNext: Bool { flags & 1 != 0 }
  /// For the device to write, not to read.
  var isWritable: Bool { flags & 2 != 0 }
  var isIndirect: Bool { flags & 4 != 0 }
}
