import Assembler

// The operands as objdump prints them. Nothing here asks the assembler how it encodes.

private let families = [
  "a", "c", "d", "b", "sp", "bp", "si", "di",
]

/// `al`, `ax`, `eax`, `rax`.
func name(_ register: Register, _ width: Width) -> String {
  let number = Register.allCases.firstIndex(of: register)!
  if number >= 8 {
    return "r\(number)" + ["b", "w", "d", ""][Int(width.rawValue)]
  }
  let family = families[number]
  let wide = number < 4 ? family + "x" : family
  return switch width {
  case .w8: family + "l"
  case .w16: wide
  case .w32: "e" + wide
  case .w64: "r" + wide
  }
}

func name(_ register: XMM) -> String { "xmm\(XMM.allCases.firstIndex(of: register)!)" }

/// A constant as an operand of a width: the bits it has there, in hexadecimal.
func hex(_ value: Int64, _ width: Width) -> String {
  let bits = UInt64(bitPattern: value)
  let mask = [0xFF, 0xFFFF, 0xFFFF_FFFF, UInt64.max][Int(width.rawValue)]
  return "0x" + String(bits & mask, radix: 16)
}

func hex(_ value: UInt8) -> String { "0x" + String(value, radix: 16) }

/// What a memory operand is called by its size.
func pointer(_ width: Width) -> String {
  ["BYTE PTR ", "WORD PTR ", "DWORD PTR ", "QWORD PTR "][Int(width.rawValue)]
}

/// A memory operand, and its text without the size.
struct Memory: Sendable {
  let address: Address
  let text: String

  private static func signed(_ displacement: Int32) -> String {
    let magnitude = String(displacement.magnitude, radix: 16)
    return displacement < 0 ? "-0x\(magnitude)" : "+0x\(magnitude)"
  }

  init(_ base: Register, _ displacement: Int32) {
    address = Address(base: base, displacement: displacement)
    // rbp and r13 have no form without displacement.
    let shown = displacement != 0 || base == .rbp || base == .r13
    text = "[\(name(base, .w64))\(shown ? Memory.signed(displacement) : "")]"
  }

  init(_ base: Register, _ index: Register, _ scale: Scale, _ displacement: Int32) {
    address = Address(base: base, index: index, scale: scale, displacement: displacement)
    let shown = displacement != 0 || base == .rbp || base == .r13
    let factor = 1 << scale.rawValue
    text = "[\(name(base, .w64))+\(name(index, .w64))*\(factor)\(shown ? Memory.signed(displacement) : "")]"
  }

  init(_ index: Register, _ scale: Scale, _ displacement: Int32) {
    address = Address(index: index, scale: scale, displacement: displacement)
    text = "[\(name(index, .w64))*\(1 << scale.rawValue)\(Memory.signed(displacement))]"
  }

  init(absolute: Int32) {
    address = Address(absolute: absolute)
    text = "ds:\(hex(Int64(absolute), .w64))"
  }

  /// Displacements at the borders of the encodings.
  static let edges: [Int32] = [
    0, 1, -1, 126, 127, 128, 129, -127, -128, -129, 0x1234, Int32.max, -Int32.max, Int32.min,
  ]

  /// Every form with every register.
  static let all: [Memory] = {
    var all: [Memory] = []
    for base in Register.allCases {
      for displacement in edges { all.append(Memory(base, displacement)) }
      for index in Register.allCases where index != .rsp {
        for scale in Scale.allCases {
          for displacement: Int32 in [0, -128, 128] {
            all.append(Memory(base, index, scale, displacement))
          }
        }
      }
    }
    for index in Register.allCases where index != .rsp {
      for scale in Scale.allCases where scale != .x1 {
        for displacement in edges { all.append(Memory(index, scale, displacement)) }
      }
    }
    for displacement in edges { all.append(Memory(absolute: displacement)) }
    return all
  }()

  /// One of each form, for the instructions that share the encoder of those that go through all.
  static let some: [Memory] = [
    Memory(.rax, 0), Memory(.rbp, 0), Memory(.r13, 0), Memory(.rsp, 0), Memory(.r12, 0),
    Memory(.rbp, -128), Memory(.r9, 127), Memory(.rdi, 0x12345), Memory(.r14, Int32.min),
    Memory(.rsp, 8), Memory(.r12, -0x1000), Memory(.rcx, .r10, .x4, 0), Memory(.r13, .r12, .x8, 0),
    Memory(.r8, .rax, .x1, 16), Memory(.r15, .x8, 64), Memory(absolute: 0x1000),
  ]
}
