import Assembler
import Testing

/// Everything that the assembler emits, read back by objdump.
@Suite struct EncodingTests {
  /// The groups of cases; all are disassembled in one go.
  static let groups: [(name: String, cases: [EncodingCase])] = [
    ("moves", moveCases()),
    ("extensions", extensionCases()),
    ("arithmetic", arithmeticCases()),
    ("one operand", oneOperandCases()),
    ("multiplication", multiplicationCases()),
    ("shifts", shiftCases()),
    ("bits", bitCases()),
    ("BMI", bmiCases()),
    ("conditions", conditionCases()),
    ("atomics", atomicCases()),
    ("control", controlCases()),
    ("SSE moves", sseMoveCases()),
    ("SSE scalars", sseScalarCases()),
    ("SSE conversions", sseConversionCases()),
    ("SSE packed", ssePackedCases()),
    ("AVX", avxCases()),
    ("FMA", fmaCases()),
  ]

  /// The bytes of a case, and what objdump makes of them.
  struct Result {
    let expected: String
    let bytes: [UInt8]
    let lines: [Line]
    let offset: Int
  }

  static let results: [String: [Result]] = {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 8 << 20, alignment: 64)
    defer { buffer.deallocate() }
    var assembler = X86Assembler(buffer: buffer, executableBase: 0)
    var places: [(group: String, text: String, range: Range<Int>)] = []
    for group in groups {
      for one in group.cases {
        let start = assembler.offset
        one.emit(&assembler)
        places.append((group.name, one.text, start..<assembler.offset))
      }
    }
    precondition(!assembler.state.failed)
    let code = UnsafeRawBufferPointer(rebasing: buffer[..<assembler.offset])
    let lines = (try? Binutils.disassemble(code)) ?? []
    var results: [String: [Result]] = [:]
    var next = 0
    for place in places {
      let first = next
      while next < lines.count, lines[next].offset < place.range.upperBound { next += 1 }
      let result = Result(
        expected: place.text, bytes: Array(code[place.range]), lines: Array(lines[first..<next]),
        offset: place.range.lowerBound)
      results[place.group, default: []].append(result)
    }
    return results
  }()

  @Test(arguments: groups.map(\.name))
  func disassemblesToItself(group: String) throws {
    let results = try #require(EncodingTests.results[group])
    #expect(!results.isEmpty)
    var wrong = 0
    for result in results where result.lines != [Line(offset: result.offset, text: result.expected)] {
      wrong += 1
      if wrong <= 20 {
        let bytes = result.bytes.map { String($0, radix: 16) }.joined(separator: " ")
        Issue.record("\(result.expected): \(bytes) is \(result.lines.map(\.text))")
      }
    }
    #expect(wrong == 0)
  }

  /// The GNU assembler chooses short encodings; ours are no longer.
  @Test(arguments: groups.map(\.name))
  func isNoLongerThanGNU(group: String) throws {
    let results = try #require(EncodingTests.results[group])
    let source = results.map(\.expected).joined(separator: "\n") + "\n.byte 0x90\n"
    let lines = try Binutils.assemble(source)
    try #require(lines.count == results.count + 1)
    for (index, result) in results.enumerated() {
      // What GNU makes of these is a nop.
      if ["xchg ax,ax", "xchg rax,rax"].contains(result.expected) { continue }
      let length = lines[index + 1].offset - lines[index].offset
      #expect(result.bytes.count <= length, "\(result.expected): \(result.bytes)")
    }
  }

  @Test func codesAreRawValues() {
    for register in Register.allCases {
      #expect(register.code == register.rawValue)
      #expect(Register(code: register.rawValue) == register)
    }
    for register in XMM.allCases {
      #expect(register.code == register.rawValue)
      #expect(XMM(code: register.rawValue) == register)
    }
    for width in Width.allCases {
      #expect(width.code == width.rawValue)
      #expect(width.bytes == [1, 2, 4, 8][Int(width.rawValue)])
    }
    for condition in Condition.allCases {
      #expect(condition.code == condition.rawValue)
      #expect(condition.inverted.rawValue == condition.rawValue ^ 1)
    }
    for scale in Scale.allCases { #expect(scale.code == scale.rawValue) }
    for operation in Arithmetic.allCases { #expect(operation.code == operation.rawValue) }
    for shift in Shift.allCases { #expect(shift.code == shift.rawValue) }
    #expect(MemoryLayout<Address>.size == 8)
  }
}
