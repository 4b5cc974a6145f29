internal import Assembler

/// A block's code, the guest's beside what was made of it.
package struct BlockListing: Sendable {
  /// A stretch of generated code and the guest code that it stands for.
  package struct Part: Sendable {
    /// Bytes from the block's start; nil for what belongs to no instruction: what comes before the first, and
    /// the cold code.
    package var guestOffset: Int?
    package var isCold = false
    /// Generated instructions.
    package var host: [String]
  }

  /// The guest's encodings, from the block's address on; empty where they are not known.
  package let guest: [UInt8]
  package let parts: [Part]
  package let codeBytes: Int

  /// `describe` says what is at a distance from the block's entry, outside of it.
  init(
    guest: [UInt8], marks: [TranslationProfile.Mark], cold: Int, code: UnsafeRawBufferPointer,
    describe: (Int) -> String?
  ) {
    self.guest = guest
    codeBytes = code.count
    let lines = X86Disassembler.lines(code) { offset in
      code.indices.contains(offset) ? "+0x" + String(offset, radix: 16) : describe(offset)
    }
    var starts: [(offset: Int, guest: Int?, isCold: Bool)] = [(0, nil, false)]
    for mark in marks { starts.append((Int(mark.host), Int(mark.guest), false)) }
    starts.append((cold, nil, true))
    var parts: [Part] = []
    var next = lines.startIndex
    for (index, start) in starts.enumerated() {
      let end = index + 1 < starts.count ? starts[index + 1].offset : code.count
      var host: [String] = []
      while next < lines.endIndex, lines[next].offset < end {
        let offset = String(lines[next].offset, radix: 16)
        let space = String(repeating: " ", count: max(0, 4 - offset.count))
        host.append("\(space)+0x\(offset) \(Self.named(lines[next].text))")
        next += 1
      }
      // Instructions that made no code are shown; an empty beginning or end is not.
      if start.guest == nil, host.isEmpty { continue }
      parts.append(Part(guestOffset: start.guest, isCold: start.isCold, host: host))
    }
    self.parts = parts
  }

  /// A generated instruction with the context's fields by their names.
  private static func named(_ text: String) -> String {
    guard let start = text.firstRange(of: "[rbp"), let end = text[start.upperBound...].firstIndex(of: "]")
    else {
      return text
    }
    let sum = text[start.upperBound..<end]
    guard let sign = sum.first, sign == "+" || sign == "-", sum.dropFirst().hasPrefix("0x"),
      let magnitude = Int32(sum.dropFirst(3), radix: 16),
      let name = ContextLayout.name(of: sign == "-" ? -magnitude : magnitude)
    else { return text }
    return text[..<start.lowerBound] + "[\(name)]" + text[text.index(after: end)...]
  }
}

extension ContextLayout {
  /// What a field is called in listings.
  static func name(of displacement: Int32) -> String? {
    let number = (displacement - register(0)) / 8
    if (register(0)..<programCounter).contains(displacement) {
      let half = (displacement - register(0)) % 8 == 0 ? "" : ".high"
      return (number < 32 ? "r\(number)" : "f\(number - 32)") + half
    }
    return fieldNames[displacement]
  }

  private static let fieldNames: [Int32: String] = [
    programCounter: "programCounter", exitRequest: "exitRequest", redirect: "redirect", view: "view",
    instructionsRetired: "instructionsRetired", reservationAddress: "reservationAddress",
    reservationValue: "reservationValue", floatFlags: "floatFlags", floatRounding: "floatRounding",
    floatTouched: "floatTouched", hostStack: "hostStack", stackLimit: "stackLimit",
    callOutStack: "callOutStack", blockCounters: "blockCounters",
  ]
}
