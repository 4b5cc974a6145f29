import Foundation
import RISCV
import Testing

/// The disassembler, and with it the decoder's fields and immediates, against binutils.
@Suite(.enabled(if: Tool.objdump.isInstalled, "needs riscv64-linux-gnu-objdump"))
struct DisassemblerTests {
  private static let base: UInt64 = 0x4000_0000

  /// What objdump knows of our extensions.
  private static let architecture =
    "rv64i2p1_m2p0_a2p1_f2p2_d2p2_c2p0_zicsr2p0_zifencei2p0_zihintpause2p0"
    + "_zicbom1p0_zicbop1p0_zicboz1p0_zba1p0_zbb1p0_zbs1p0_svinval1p0"

  /// The lines of objdump for encodings that follow one another, all of one length.
  private static func objdump(_ encodings: [UInt32], length: Int) throws -> [String] {
    var text: [UInt8] = []
    for bits in encodings { text += little(bits).prefix(length) }
    var file = ElfFile(entry: base, architecture: architecture)
    file.segments = [.init(address: base, bytes: text, size: text.count)]
    let output = try Tool.objdump.run(["-d", "-z", "-M", "no-aliases,numeric"], on: file.bytes)
    var lines: [String] = []
    for line in String(decoding: output, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: "\t")
      guard fields.count >= 3, fields[0].hasSuffix(":") else { continue }
      lines.append(normalized(fields[2...].joined(separator: "\t")))
    }
    #expect(lines.count == encodings.count)
    return lines
  }

  /// Without comments and symbols, and with targets in our notation.
  private static func normalized(_ line: String) -> String {
    var line = line
    if let comment = line.range(of: " #") { line = String(line[..<comment.lowerBound]) }
    if let symbol = line.range(of: " <") {
      line = String(line[..<symbol.lowerBound])
      let start = line.lastIndex { $0 == "," || $0 == "\t" } ?? line.startIndex
      line.insert(contentsOf: "0x", at: line.index(after: start))
    }
    while line.last == " " { line.removeLast() }
    return line
  }

  private static func compare(_ encodings: [UInt32], length: Int) throws {
    let theirs = try objdump(encodings, length: length)
    var mismatches: [String] = []
    for (number, bits) in encodings.enumerated() where number < theirs.count {
      let ours = Disassembler.text(bits, at: base + UInt64(number * length))
      if ours != theirs[number] && !isKnownDifference(ours, theirs[number]) {
        mismatches.append("\(String(bits, radix: 16)): \(ours) instead of \(theirs[number])")
      }
    }
    #expect(mismatches.isEmpty, "\(mismatches.prefix(20).joined(separator: "\n"))")
  }

  private static func isKnownDifference(_ ours: String, _ theirs: String) -> Bool {
    let name = ours.prefix { $0 != "\t" }
    if theirs.hasPrefix(".4byte") {
      // Reserved fields that hardware ignores, and rounding modes that make no difference.
      return ["fence", "fence.tso", "fence.i", "fcvt.d.s", "fcvt.d.w", "fcvt.d.wu"].contains(name)
    }
    // Instructions that were withdrawn or never ratified, and a reserved operand.
    if ["uret", "hret", "sfence.vm", "c.addi16sp\tx2,0"].contains(where: theirs.hasPrefix) {
      return ours.hasPrefix(theirs.hasPrefix("c.") ? ".2byte" : ".4byte")
    }
    // Reserved rounding modes.
    if theirs.hasSuffix(",unknown") { return ours.hasPrefix(".4byte") }
    // Hints that were shifts by 64 in RV128.
    if ["c.slli", "c.srli", "c.srai"].contains(name), ours.hasSuffix(",0x0") {
      return theirs == ours.dropLast(4).replacing(name, with: name + "64")
    }
    // Control registers that we do not name.
    let (mine, other) = (ours.split(separator: ","), theirs.split(separator: ","))
    return name.hasPrefix("csr") && mine.count == 3 && other.count == 3 && mine[1].hasPrefix("0x")
      && mine[0] == other[0] && mine[2] == other[2]
  }

  @Test func rowsAgree() throws {
    var random = RandomBits(seed: 2)
    let rows = InstructionTable.words.filter { $0.set != .zicond }
    try Self.compare(rows.flatMap { row in (0..<250).map { _ in random.encoding(of: row) } }, length: 4)
  }

  @Test func compressedEncodingsAgree() throws {
    try Self.compare((0..<0x10000 as Range<UInt32>).filter { $0 & 3 != 3 }, length: 2)
  }

  @Test func fencesAgree() throws {
    let sets = (0..<256 as Range<UInt32>).filter { $0 != 0x10 }.map { $0 << 20 | 0x0F }
    let others: [UInt32] = [0x8330_000F, 0x0100_000F, 0x0000_100F]
    let theirs = try Self.objdump(sets + others, length: 4)
    #expect(theirs == (sets + others).map { Disassembler.text($0, at: 0) })
  }

  @Test func controlRegistersAgree() throws {
    try Self.compare((0..<4096 as Range<UInt32>).map { $0 << 20 | 0x2073 }, length: 4)
  }

  /// What one takes for an instruction and the other does not shows here.
  @Test func randomWordsAgree() throws {
    var random = RandomBits(seed: 1)
    let encodings = (0..<200_000).map { _ in
      while true {
        // Two in three near an instruction of the table.
        var bits = UInt32(truncatingIfNeeded: random.next()) | 3
        if random.below(3) != 0, let row = InstructionTable.words.randomElement(using: &random) {
          bits = bits & ~row.mask | row.match
          if random.below(2) == 0 { bits ^= 1 << UInt32(7 + random.below(25)) }
        }
        let isZicond = InstructionTable.row(of: Decoder.decode(bits))?.set == .zicond
        if bits & 0x1F != 0x1F && !isZicond { return bits }
      }
    }
    try Self.compare(encodings, length: 4)
  }

  /// An extension younger than the oracle.
  @Test func zicond() {
    #expect(Disassembler.text(0x0E62_D533, at: 0) == "czero.eqz\tx10,x5,x6")
    #expect(Disassembler.text(0x0E62_F533, at: 0) == "czero.nez\tx10,x5,x6")
  }
}
