/// The opcode bytes of an instruction, with the prefix that is part of its opcode.
@usableFromInline struct Opcode {
  /// The bytes that follow a REX prefix, the first one lowest.
  @usableFromInline let bytes: UInt32
  /// How many bytes that is, 1 to 3.
  @usableFromInline let count: Int
  /// The mandatory prefix 0x66, 0xF2 or 0xF3, or 0.
  @usableFromInline let prefix: UInt8

  @inlinable init(bytes: UInt32, count: Int, prefix: UInt8) {
    self.bytes = bytes
    self.count = count
    self.prefix = prefix
  }

  /// An opcode of one byte.
  @inlinable @inline(__always) static func one(_ byte: UInt8) -> Opcode {
    Opcode(bytes: UInt32(byte), count: 1, prefix: 0)
  }

  /// An opcode of one byte whose lowest bit is clear for 8-bit operands and set for wider ones.
  @inlinable @inline(__always) static func one(_ byte: UInt8, _ width: Width) -> Opcode {
    one(width == .w8 ? byte : byte | 1)
  }

  /// An opcode `0F byte`.
  @inlinable @inline(__always) static func two(_ byte: UInt8, prefix: UInt8 = 0) -> Opcode {
    Opcode(bytes: 0x0F | UInt32(byte) &<< 8, count: 2, prefix: prefix)
  }

  /// An opcode `0F byte` whose lowest bit is clear for 8-bit operands and set for wider ones.
  @inlinable @inline(__always) static func two(_ byte: UInt8, _ width: Width) -> Opcode {
    two(width == .w8 ? byte : byte | 1)
  }

  /// An opcode `0F 38 byte`.
  @inlinable @inline(__always) static func three38(_ byte: UInt8, prefix: UInt8 = 0) -> Opcode {
    Opcode(bytes: 0x380F | UInt32(byte) &<< 16, count: 3, prefix: prefix)
  }

  /// An opcode `0F 3A byte`.
  @inlinable @inline(__always) static func three3A(_ byte: UInt8, prefix: UInt8 = 0) -> Opcode {
    Opcode(bytes: 0x3A0F | UInt32(byte) &<< 16, count: 3, prefix: prefix)
  }
}

/// The opcode of an instruction with a VEX prefix (Intel SDM volume 2, 2.3.5).
@usableFromInline struct VEXOpcode {
  /// The opcode map: 1 is `0F`, 2 is `0F 38`, 3 is `0F 3A`.
  @usableFromInline let map: UInt8
  /// The implied prefix: 0 none, 1 is 0x66, 2 is 0xF3, 3 is 0xF2.
  @usableFromInline let pp: UInt8
  @usableFromInline let byte: UInt8

  @inlinable init(map: UInt8, pp: UInt8, _ byte: UInt8) {
    self.map = map
    self.pp = pp
    self.byte = byte
  }
}
