/// ACPI machine language: what a definition block such as the DSDT is written in (ACPI 6.5 chapter 20).
///
/// A ``Block`` is built by code and holds bytes that are ready to be put in a table:
///
///     var block = AML.Block()
///     block.scope("\\_SB") {
///       $0.device("COM1") {
///         $0.name("_HID", .eisaID("PNP0501"))
///       }
///     }
package enum AML {
  /// The first byte, or two, of what a term is (section 20.3).
  enum Opcode {
    static let zero: UInt8 = 0x00
    static let one: UInt8 = 0x01
    static let name: UInt8 = 0x08
    static let byte: UInt8 = 0x0A
    static let word: UInt8 = 0x0B
    static let doubleWord: UInt8 = 0x0C
    static let string: UInt8 = 0x0D
    static let quadWord: UInt8 = 0x0E
    static let scope: UInt8 = 0x10
    static let buffer: UInt8 = 0x11
    static let package: UInt8 = 0x12
    static let method: UInt8 = 0x14
    static let local: UInt8 = 0x60
    static let argument: UInt8 = 0x68
    static let store: UInt8 = 0x70
    static let and: UInt8 = 0x7B
    static let or: UInt8 = 0x7D
    static let notify: UInt8 = 0x86
    static let createDoubleWordField: UInt8 = 0x8A
    static let not: UInt8 = 0x92
    static let equal: UInt8 = 0x93
    static let `if`: UInt8 = 0xA0
    static let `else`: UInt8 = 0xA1
    static let `return`: UInt8 = 0xA4
    static let ones: UInt8 = 0xFF
    static let operationRegion: [UInt8] = [0x5B, 0x80]
    static let field: [UInt8] = [0x5B, 0x81]
    static let device: [UInt8] = [0x5B, 0x82]
  }

  /// A number as `PkgLength` has it: up to 6 bits in one byte, or 4 bits and one to three bytes more
  /// (section 20.2.4).
  static func packed(_ number: Int) -> [UInt8] {
    precondition((0..<1 << 28).contains(number), "too much for one package of AML")
    if number < 1 << 6 { return [UInt8(number)] }
    let more = number < 1 << 12 ? 1 : number < 1 << 20 ? 2 : 3
    return [UInt8(more << 6 | number & 0x0F)]
      + (0..<more).map { UInt8(truncatingIfNeeded: number >> (4 + 8 * $0)) }
  }

  /// Content behind its length, which counts its own bytes too.
  static func sized(_ content: [UInt8]) -> [UInt8] {
    let own = (1...4).first { packed(content.count + $0).count == $0 } ?? 4
    return packed(content.count + own) + content
  }
}
