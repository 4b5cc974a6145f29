import Foundation
import HostSystem
import Machine
import RISCV
import Testing
import Translator

/// A compiler runs on the translator and on the interpreter side by side: a stock kernel boots from an initial RAM
/// disk whose first process is gcc's cc1, over and over (Tests/Soak/gcc-initrd), and all that a guest can tell is
/// compared all the way.
///
/// `VOLARY_TEST_GCC_INITRD` names the RAM disk, `VOLARY_TEST_KERNEL` the kernel, `VOLARY_LOCKSTEP_INSTRUCTIONS`
/// how many instructions there are to be after the boot.
@Suite struct LockstepCompilerTests {
  static let environment = ProcessInfo.processInfo.environment
  static let instructions = environment["VOLARY_LOCKSTEP_INSTRUCTIONS"].flatMap { Int($0) } ?? 1_000_000_000

  @Test(.enabled(if: environment["VOLARY_TEST_GCC_INITRD"] != nil, "set VOLARY_TEST_GCC_INITRD"))
  func compiles() throws {
    let kernel = try #require(Self.environment["VOLARY_TEST_KERNEL"])
    let initrd = try #require(Self.environment["VOLARY_TEST_GCC_INITRD"])
    var options = CodeStore.Options()
    options.countsInstructions = true
    let code = try CodeStore(architecture: Lifter.architecture, options: options)
    let boards = try [code, nil].map {
      try LockstepBoard(
        kernel: .open(kernel, 0), initrd: .open(initrd, 0), memorySize: 512 << 20, code: $0)
    }
    defer { for board in boards { board.board.stopDevices() } }
    let pair = LockstepPair(boards[0], boards[1])
    let started = monotonicNanoseconds()
    let deadline = started + 6 * 3600 * 1_000_000_000

    func says(_ words: String) -> Bool {
      String(decoding: boards[0].serial, as: UTF8.self).contains(words)
    }
    // Until the compiler starts, then as far as asked for.
    while !says("soak: compiling") {
      let outcome = pair.run(pace: .linked, instructions: pair.instructions + 50_000_000, until: deadline)
      if case .differs(let report) = outcome { Issue.record(Comment(rawValue: report)) }
      guard outcome == .enough else {
        Issue.record("\(outcome) before the compiler has started")
        return
      }
    }
    let boot = pair.instructions
    let outcome = pair.run(pace: .linked, instructions: boot + Self.instructions, until: deadline)
    if case .differs(let report) = outcome { Issue.record(Comment(rawValue: report)) }
    #expect(outcome == .enough)
    #expect(boards[0].serial == boards[1].serial)
    #expect(!says("cc1 ended with"), "\(String(decoding: boards[0].serial.suffix(2000), as: UTF8.self))")
    if Self.instructions >= 1_000_000_000 { #expect(says("soak: compiled 1 times")) }
    let text = String(decoding: boards[0].serial, as: UTF8.self)
    print(
      "lockstep gcc: \(boot) instructions of boot, then \(pair.instructions - boot), \(pair.steps) steps, "
        + "\(pair.memoryComparisons) comparisons of memory, \((monotonicNanoseconds() - started) / 1_000_000_000) s, "
        + "\(text.matches(of: /soak: compiled/).count) files compiled, \(code.statistics.blocks) blocks, "
        + "cache emptied \(code.statistics.emptied) times")
  }
}
