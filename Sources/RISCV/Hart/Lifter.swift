internal import GuestMemory
package import Translator

/// Decodes RISC-V code into blocks for the translator.
package final class Lifter: BlockLifter {
  /// Guest registers worth a host register, by how often compiled code names them: a5 a4 a0 sp a3 a1
  /// a2 s0 s1 ra.
  package static let architecture = GuestArchitecture(pins: [15, 14, 10, 2, 13, 11, 12, 8, 9, 1])

  package init() {}

  package func lift(
    pc: UInt64, page: UnsafeRawPointer, key: UInt64, into buffer: UnsafeMutablePointer<Instruction>,
    room: Int
  ) -> Int {
    var offset = Int(pc & 0xFFF)
    var count = 0
    while count < room, offset < 4096 {
      var bits = UInt32(UInt16(littleEndian: page.load(fromByteOffset: offset, as: UInt16.self)))
      if bits & 3 == 3 {
        // The rest of the last instruction is on another page: the interpreter takes it.
        guard offset + 4 <= 4096 else { break }
        bits |= UInt32(UInt16(littleEndian: page.load(fromByteOffset: offset + 2, as: UInt16.self))) << 16
      }
      var instruction = Decoder.decode(bits)
      if key == BlockKey.floatOff, Hart.usesFloat(instruction) {
        let length = instruction.length
        instruction = Instruction(.illegal, length: length, imm: Int64(bits))
      }
      buffer[count] = instruction
      count += 1
      offset += Int(instruction.length)
      switch instruction.operation {
      case .jump, .jumpIndirect, .illegal: return count
      case .system: if !SystemOperation.goesOn(instruction) { return count }
      default: break
      }
    }
    return count
  }
}

/// What translated code depends on beside its bytes and address.
enum BlockKey {
  static let floatOff: UInt64 = 0
  static let floatOn: UInt64 = 1
}
