internal import HostSystem
internal import RISCV
internal import Translator

/// What a profiled machine's translator did, as text for people: `volary run --profile`.
struct ProfileReport {
  private let code: CodeStore
  private let profile: TranslationProfile
  private let harts: [Hart]
  private let runningTime: UInt64
  private var text = ""

  /// Blocks in the list, and those of them whose code is shown.
  private static let listed = 40
  private static let shown = 12

  /// The report of a machine whose harts have ended; `runningTime` is theirs, in nanoseconds.
  static func text(code: CodeStore, profile: TranslationProfile, harts: [Hart], runningTime: UInt64) -> String
  {
    var report = ProfileReport(code: code, profile: profile, harts: harts, runningTime: runningTime)
    let blocks = code.profiledBlocks(listings: shown)
    report.writeSummary(blocks)
    report.writeExits()
    report.writeCallOuts()
    report.writeTraps()
    report.writeBlocks(blocks)
    return report.text
  }

  private init(code: CodeStore, profile: TranslationProfile, harts: [Hart], runningTime: UInt64) {
    self.code = code
    self.profile = profile
    self.harts = harts
    self.runningTime = runningTime
  }

  // MARK: - Text

  private mutating func line(_ words: String = "") { text += words + "\n" }

  private mutating func heading(_ words: String) {
    line()
    line(words)
    line(String(repeating: "-", count: words.utf8.count))
  }

  /// Rows of a count and what was counted, the greatest first; nothing that never happened.
  private mutating func table(_ rows: [(name: String, count: UInt64)]) {
    for row in rows.filter({ $0.count > 0 }).sorted(by: { $0.count > $1.count }) {
      line("\(Self.right(Self.grouped(row.count), 16))  \(row.name)")
    }
  }

  private static func right(_ text: String, _ width: Int) -> String {
    String(repeating: " ", count: max(0, width - text.utf8.count)) + text
  }

  private static func left(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.utf8.count))
  }

  /// A number with its thousands apart.
  private static func grouped(_ number: UInt64) -> String {
    var digits = Array(String(number).utf8)
    var place = digits.count - 3
    while place > 0 {
      digits.insert(UInt8(ascii: ","), at: place)
      place -= 3
    }
    return String(decoding: digits, as: UTF8.self)
  }

  /// A ratio with one digit behind the point.
  private static func tenths(_ numerator: UInt64, of denominator: UInt64, times factor: UInt64 = 1) -> String
  {
    guard denominator > 0 else { return "-" }
    let tenths = numerator.multipliedFullWidth(by: 10 * factor)
    guard tenths.high < denominator else { return "-" }
    let value = denominator.dividingFullWidth(tenths).quotient
    return "\(grouped(value / 10)).\(value % 10)"
  }

  private static func hex(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }

  // MARK: - Sections

  private mutating func writeSummary(_ blocks: [ProfiledBlock]) {
    let statistics = code.statistics
    let instructions = UInt64(statistics.instructions)
    let made = blocks.reduce(UInt64(0)) { $0 + UInt64($1.codeBytes * $1.translations) }
    let executed = blocks.reduce(UInt64(0)) { $0 &+ $1.executedInstructions }
    let cold = harts.reduce(UInt64(0)) { $0 &+ ($1.profile?.coldInstructions ?? 0) }
    line(
      "Profile of \(harts.count) CPU\(harts.count == 1 ? "" : "s") over \(Self.tenths(runningTime, of: 1_000_000_000)) s"
    )
    line()
    line("Guest instructions")
    line("\(Self.right(Self.grouped(executed), 16))  in translated code")
    line(
      "\(Self.right(Self.grouped(cold), 16))  interpreted, because they had not run often enough to translate"
    )
    line()
    line("Translation")
    line(
      "\(Self.right(Self.grouped(UInt64(statistics.blocks)), 16))  blocks made, of \(Self.grouped(instructions)) guest instructions"
    )
    line(
      "\(Self.right(Self.grouped(made), 16))  bytes of code, \(Self.tenths(made, of: instructions)) an instruction"
    )
    line(
      "\(Self.right(Self.tenths(profile.translationTime, of: 1_000_000), 16))  ms, \(Self.tenths(profile.translationTime, of: instructions)) ns an instruction"
    )
    line()
    line("Code cache")
    line(
      "\(Self.right(Self.grouped(UInt64(statistics.codeBytes)), 16))  bytes used of \(Self.grouped(UInt64(code.arenaSize)))"
    )
    line("\(Self.right(Self.grouped(UInt64(statistics.emptied)), 16))  times emptied")
    line("\(Self.right(Self.grouped(UInt64(statistics.invalidatedPages)), 16))  pages of code written to")
  }

  private func sum(_ counter: ProfileCounter) -> UInt64 {
    harts.reduce(0) { $0 &+ $1.context.word(counter.place).pointee }
  }

  private mutating func writeExits() {
    let total = harts.reduce(UInt64(0)) { $0 &+ $1.exits }
    heading("Exits from translated code: \(Self.grouped(total))")
    let reasons: [(name: String, counter: ProfileCounter)] = [
      ("towards a block that was not linked", .unlinkedExit),
      ("a computed jump unknown to the jump cache, or a request meanwhile", .unknownTarget),
      ("a request: interrupts, other CPUs, the timer", .request),
      ("a trap or system instruction", .redirection),
    ]
    var rows = reasons.map { (name: $0.name, count: sum($0.counter)) }
    let known = rows.reduce(UInt64(0)) { $0 &+ $1.count }
    rows.append(("other", total > known ? total - known : 0))
    table(rows)
    table([("returns that did not go to where the last call waited; these need not leave", sum(.strayReturn))]
    )
  }

  private func sum(_ counts: (HartProfile) -> [UInt64]) -> [UInt64] {
    var sums: [UInt64] = []
    for profile in harts.compactMap(\.profile) {
      let counts = counts(profile)
      if sums.isEmpty { sums = [UInt64](repeating: 0, count: counts.count) }
      for index in counts.indices { sums[index] &+= counts[index] }
    }
    return sums
  }

  private mutating func writeCallOuts() {
    let memory = sum { [$0.slowLoads, $0.slowStores, $0.faults] }
    guard memory.count == 3 else { return }
    heading("Calls out of translated code")
    var rows: [(name: String, count: UInt64)] = [
      ("loads not made in line", memory[0]), ("stores not made in line", memory[1]),
      ("of these two ended in a trap", memory[2]),
    ]
    let operations = sum(\.interpreted)
    for operation in Operation.allCases {
      rows.append(("\(operation), interpreted", operations[Int(operation.rawValue)]))
    }
    let system = sum(\.system)
    for operation in SystemOperation.allCases {
      rows.append(("\(operation), by the hart", system[Int(operation.rawValue)]))
    }
    table(rows)
  }

  private mutating func writeTraps() {
    let exceptions = sum(\.exceptions)
    let interrupts = sum(\.interrupts)
    guard !exceptions.isEmpty else { return }
    heading("Traps: \(Self.grouped((exceptions + interrupts).reduce(0, &+)))")
    table(
      exceptions.enumerated().map { (Trap.Cause.name(UInt64($0.offset)), $0.element) }
        + interrupts.enumerated().map { (Trap.Cause.name(1 << 63 | UInt64($0.offset)), $0.element) })
  }

  // MARK: - Blocks

  private mutating func writeBlocks(_ blocks: [ProfiledBlock]) {
    let total = blocks.reduce(UInt64(0)) { $0 &+ $1.executedInstructions }
    let hot = blocks.prefix(Self.listed).filter { $0.executions > 0 }
    heading("Hottest of \(Self.grouped(UInt64(blocks.count))) blocks, by instructions executed")
    line("   %    sum %        executions  instr  bytes  made  block")
    var sum: UInt64 = 0
    for block in hot {
      sum &+= block.executedInstructions
      line(
        Self.right(Self.tenths(block.executedInstructions, of: total, times: 100), 5)
          + Self.right(Self.tenths(sum, of: total, times: 100), 8)
          + Self.right(Self.grouped(block.executions), 18) + Self.right("\(block.instructions)", 7)
          + Self.right("\(block.codeBytes)", 7) + Self.right("\(block.translations)", 6)
          + "  " + Lifter.name(ofBlockAt: block.identity.address, key: block.identity.key))
    }
    heading("Guest code beside its translation")
    line(
      "Registers: "
        + code.pinnedRegisters.map { "\($0.host)=\(Self.register($0.guest))" }.joined(separator: " "))
    for block in hot.prefix(Self.shown) {
      guard let listing = block.listing else { continue }
      line()
      line(
        Lifter.name(ofBlockAt: block.identity.address, key: block.identity.key)
          + ", \(Self.tenths(block.executedInstructions, of: total, times: 100)) %, \(Self.grouped(block.executions)) executions"
      )
      write(listing, at: block.identity.address)
    }
  }

  private static func register(_ number: UInt8) -> String {
    number < 32 ? "x\(number)" : "f\(number - 32)"
  }

  private mutating func write(_ listing: BlockListing, at address: UInt64) {
    let ends = listing.parts.compactMap(\.guestOffset).dropFirst() + [listing.guest.count]
    var end = ends.startIndex
    for part in listing.parts {
      var guest: [String] = []
      if part.isCold {
        line("  and \(part.host.count) instructions for what is seldom needed")
        continue
      }
      if let offset = part.guestOffset {
        guest = Self.instructions(listing.guest, from: offset, to: ends[end], at: address)
        end += 1
      }
      for row in 0..<max(guest.count, part.host.count) {
        line(
          "  " + Self.left(row < guest.count ? guest[row] : "", 52) + "  "
            + (row < part.host.count ? part.host[row] : ""))
      }
    }
  }

  /// The guest's instructions in a range of a block's bytes; several where they are translated as one.
  private static func instructions(
    _ bytes: [UInt8], from start: Int, to end: Int, at address: UInt64
  ) -> [String] {
    var lines: [String] = []
    var offset = start
    while offset + 2 <= min(end, bytes.count) {
      var bits = UInt32(bytes[offset]) | UInt32(bytes[offset + 1]) << 8
      let isLong = bits & 3 == 3
      if isLong {
        guard offset + 4 <= bytes.count else { break }
        bits |= UInt32(bytes[offset + 2]) << 16 | UInt32(bytes[offset + 3]) << 24
      }
      let place = address &+ UInt64(offset)
      let text = Disassembler.text(bits, at: place).split(separator: "\t")
      lines.append("\(hex(place))  \(left(String(text[0]), 9)) \(text.dropFirst().joined(separator: " "))")
      offset += isLong ? 4 : 2
    }
    return lines
  }
}
