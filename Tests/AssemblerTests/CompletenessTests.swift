import Assembler
import Foundation
import Testing

/// That the cases go through all that the assembler can emit: a method that is added without a case fails here,
/// and so does a case that leaves out a kind of operand.
@Suite struct CompletenessTests {
  /// A method of the assembler as its source declares it.
  struct Method {
    var name: String
    /// One letter an operand: `r` general register, `x` SSE register, `m` memory, `i` constant.
    var shape: String
    var hasWidth: Bool
    /// What its comment says of widths.
    var widths: Set<Width>
  }

  /// Methods whose names are no mnemonics, and some of those that they stand for.
  static let families: [String: [String]] = [
    "arithmetic": ["add", "or", "adc", "sbb", "and", "sub", "xor", "cmp"],
    "shift": ["rol", "ror", "rcl", "rcr", "shl", "shr", "sar"],
    "setcc": Condition.allCases.map { "set\($0)" }, "cmov": Condition.allCases.map { "cmov\($0)" },
    "cmpsd": ComparePredicate.allCases.map { "cmp\($0)sd" },
    "cmpss": ComparePredicate.allCases.map { "cmp\($0)ss" },
    "pushfq": ["pushf"], "popfq": ["popf"], "zero": ["xor"],
    "repStosb": ["rep"], "repStosq": ["rep"], "repMovsb": ["rep"], "repMovsq": ["rep"],
  ]

  /// Covered elsewhere: what makes no instruction, or one with a place in it (LabelTests, PatchingTests,
  /// OverflowTests, DisassemblerTests).
  static let elsewhere: Set<String> = [
    "newLabel", "resetLabels", "bind", "jump", "jumpShort", "retarget", "rewind", "emit", "append",
    "jmpPatchable",
    "jccPatchable", "callPatchable", "leaPatchable", "setField", "patch", "align", "alignField", "nop", "jcc",
    // Prefixes; and families that their operations' own names stand for.
    "lock", "gs", "scalar", "fma",
  ]

  private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()

  private static func sources(_ folder: URL, prefix: String) throws -> [String] {
    try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .filter { $0.lastPathComponent.hasPrefix(prefix) && $0.pathExtension == "swift" }
      .map { try String(contentsOf: $0, encoding: .utf8) }
  }

  /// All methods that change the assembler, read from its sources.
  static func methods() throws -> [Method] {
    let folder = folder.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Sources/Assembler")
    let declaration = try Regex(
      #"((?:\s*///[^\n]*\n)*)\s*(?:@inlinable\s+|@inline\(__always\)\s+)*package mutating func (\w+)\(([^)]*)\)"#,
      as: (Substring, Substring, Substring, Substring).self)
    let methods = try sources(folder, prefix: "X86Assembler").flatMap { text in
      text.matches(of: declaration).map { match in
        let (_, comment, name, parameters) = match.output
        var shape = ""
        for parameter in parameters.split(separator: ",") {
          let type = parameter.split(separator: ":").last?.split(separator: "=").first ?? ""
          switch type.trimmingCharacters(in: .whitespacesAndNewlines) {
          case "Register": shape += "r"
          case "XMM": shape += "x"
          case "Address": shape += "m"
          case "Int32", "Int64", "UInt8", "RoundingMode": shape += "i"
          default: break
          }
        }
        var widths = Set(Width.allCases)
        if comment.contains("not for 8 bits") { widths.remove(.w8) }
        if comment.contains("32 or 64 bits") { widths = [.w32, .w64] }
        return Method(
          name: String(name), shape: shape, hasWidth: parameters.contains("Width"), widths: widths)
      }
    }
    // One comment says for all of a name what widths there are not.
    return methods.map { method in
      var method = method
      for other in methods where other.name == method.name { method.widths.formIntersection(other.widths) }
      return method
    }
  }

  /// What the cases show of a mnemonic with operands of a shape.
  struct Shown {
    var widths: Set<Width> = []
    /// By place: register numbers.
    var registers: [Int: Set<Int>] = [:]
    var addresses: Set<String> = []
  }

  static let generalRegisters: [String: (number: Int, width: Width)] = {
    var all: [String: (number: Int, width: Width)] = [:]
    for width in Width.allCases {
      for register in Register.allCases { all[name(register, width)] = (Int(register.code), width) }
    }
    return all
  }()

  /// Every mnemonic with a shape among the cases.
  static let shown: [String: Shown] = {
    var shown: [String: Shown] = [:]
    for group in EncodingTests.groups {
      for one in group.cases {
        let text = one.text.hasPrefix("lock ") ? String(one.text.dropFirst(5)) : one.text
        let words = text.split(separator: " ", maxSplits: 1).map(String.init)
        let operands = words.count > 1 ? words[1].split(separator: ",").map(String.init) : []
        let shape = operands.map(kind).joined()
        note(operands, in: &shown["\(words[0]) \(shape)", default: Shown()])
      }
    }
    return shown
  }()

  private static func kind(_ operand: String) -> String {
    if operand.contains("[") || operand.contains("ds:") { return "m" }
    if operand.hasPrefix("xmm") { return "x" }
    return generalRegisters[operand] == nil || operand == "cl" ? "i" : "r"
  }

  private static func note(_ operands: [String], in shown: inout Shown) {
    for (place, operand) in operands.enumerated() {
      if kind(operand) == "r", let register = generalRegisters[operand] {
        shown.registers[place, default: []].insert(register.number)
        shown.widths.insert(register.width)
      } else if operand.hasPrefix("xmm"), let number = Int(operand.dropFirst(3)) {
        shown.registers[place, default: []].insert(number)
      } else if kind(operand) == "m" {
        for width in Width.allCases where operand.hasPrefix(pointer(width)) { shown.widths.insert(width) }
        shown.addresses.formUnion(shapes(of: operand))
      }
    }
  }

  /// The kinds of addresses that are encoded each in their own way.
  private static func shapes(of operand: String) -> [String] {
    guard let start = operand.firstIndex(of: "[") else { return ["absolute"] }
    let inside = operand[operand.index(after: start)...].dropLast()
    if inside.hasPrefix("r"), inside.contains("*") {
      return [inside.split(separator: "+")[0].contains("*") ? "index alone" : "base and index"]
    }
    let parts = inside.split(whereSeparator: { $0 == "+" || $0 == "-" })
    let base = parts[0]
    let magnitude = parts.count > 1 ? Int(parts[1].dropFirst(2), radix: 16) ?? 0 : 0
    let size = parts.count == 1 ? "none" : magnitude > 128 ? "long" : "short"
    return ["rsp", "r12", "rbp", "r13"].contains(base) ? ["\(base)", size] : [size]
  }

  static let addresses: Set<String> = [
    "absolute", "index alone", "base and index", "rsp", "r12", "rbp", "r13", "none", "short", "long",
  ]

  /// Every method is called by some case.
  @Test func everyMethodIsCalled() throws {
    let cases = try Self.sources(Self.folder, prefix: "").filter { $0.contains("CaseList") }.joined()
    let tests = try Self.sources(Self.folder, prefix: "").joined()
    let methods = try Self.methods()
    #expect(methods.count > 300)
    for name in Set(methods.map(\.name)) {
      let text =
        Self.elsewhere.contains(name) && !["lock", "gs", "scalar", "fma"].contains(name) ? tests : cases
      let isCalled = text.contains(".\(name)(")
      #expect(isCalled, "no test calls X86Assembler.\(name)")
    }
  }

  /// Every method's operands are shown in all widths, with registers of each sort, and with every kind of
  /// address.
  @Test func everyShapeIsShown() throws {
    for method in try Self.methods() where !Self.elsewhere.contains(method.name) {
      for mnemonic in Self.families[method.name] ?? [method.name] {
        // A shift by cl has it as an operand; comparisons have their predicate in the name.
        let shapes = [method.shape, method.shape + "i", String(method.shape.dropLast())]
        let (name, shown) = Self.find(mnemonic, shapes)
        guard let shown else {
          Issue.record("no case shows \(method.name) with operands '\(method.shape)'")
          continue
        }
        check(method, name, shown)
      }
    }
  }

  /// What stands in a text for mnemonics that depend on operands.
  private static let spellings: [String: [String]] = [
    "movsx": ["movsx", "movsxd"], "mov": ["mov", "movabs"],
    "repStosb": ["rep"], "repMovsb": ["rep"],
  ]

  private static func find(_ mnemonic: String, _ shapes: [String]) -> (String, Shown?) {
    for shape in shapes {
      for spelling in spellings[mnemonic] ?? [mnemonic] {
        if let found = shown["\(spelling) \(shape)"] { return ("\(spelling) \(shape)", found) }
      }
      // Strings and fences have operands of their own, or none.
      if shape.isEmpty, let key = shown.keys.first(where: { $0.hasPrefix(mnemonic + " ") }) {
        return (key, shown[key])
      }
    }
    return (mnemonic, nil)
  }

  private func check(_ method: Method, _ name: String, _ shown: Shown) {
    if method.hasWidth {
      let missing = method.widths.subtracting(shown.widths)
      // What extends has two widths, and the destination is never the narrower one.
      if !["movzx", "movsx", "bswap", "cvtsi2sd", "cvtsi2ss"].contains(method.name),
        !method.name.hasPrefix("cvt")
      {
        #expect(missing.isEmpty, "\(name): no case of width \(missing)")
      }
    }
    for (place, numbers) in shown.registers where !method.shape.isEmpty {
      let isAll =
        numbers.contains { $0 < 4 } && numbers.contains { (4..<8).contains($0) }
        && numbers.contains { $0 >= 8 }
      // Beside memory the other register may be a fixed one: its encoding is the same.
      if !method.shape.contains("m") {
        #expect(isAll, "\(name): operand \(place) is only ever register \(numbers.sorted())")
      }
    }
    if method.shape.contains("m") {
      let missing = Self.addresses.subtracting(shown.addresses)
      #expect(missing.isEmpty, "\(name): no case with an address of the kind \(missing.sorted())")
    }
  }
}
