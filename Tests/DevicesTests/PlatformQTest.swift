import HostPrograms

/// One of QEMU's boards, `virt` unless another is named, with its processors stopped (`-S -qtest`): in their place
/// we access the registers of QEMU's devices and drive its interrupt wires. Its clock stands. An oracle for ours.
final class PlatformQTest {
  private let process: ProgramRun

  struct Refused: Error { let answer: String }

  static let virt = ["-M", "virt", "-smp", "2", "-S", "-display", "none", "-serial", "null"]
  /// A PC.
  static let q35 = ["-M", "q35", "-S", "-display", "none", "-serial", "null", "-net", "none"]

  /// In a board that `runs`, for devices that rest while a machine is stopped, processors find no program
  /// and do no more than fail at that.
  init(
    _ qemu: String, board: [String] = virt, _ options: [String] = [], runs: Bool = false
  ) throws {
    let board = runs ? board.filter { $0 != "-S" } + ["-bios", "none"] : board
    process = try ProgramRun(
      qemu, board + options + ["-monitor", "none", "-qtest", "stdio", "-qtest-log", "none"])
  }

  /// Sends a command and returns what follows "OK" in the answer.
  @discardableResult
  func command(_ line: String) throws -> String {
    process.type(line + "\n")
    while true {
      guard let answer = process.awaitLine() else {
        throw Refused(answer: "QEMU is silent: \(process.errors)")
      }
      if answer.hasPrefix("IRQ ") { continue }
      guard answer.hasPrefix("OK") else { throw Refused(answer: answer) }
      return String(answer.dropFirst(3))
    }
  }

  func read8(_ address: UInt64) throws -> UInt8 { UInt8(truncatingIfNeeded: try read("readb", address)) }
  func read32(_ address: UInt64) throws -> UInt32 { UInt32(truncatingIfNeeded: try read("readl", address)) }
  func write8(_ address: UInt64, _ value: UInt8) throws { try command("writeb \(address) \(value)") }
  func write32(_ address: UInt64, _ value: UInt32) throws { try command("writel \(address) \(value)") }
  func readPort8(_ port: UInt16) throws -> UInt8 { UInt8(truncatingIfNeeded: try read("inb", UInt64(port))) }
  func readPort32(_ port: UInt16) throws -> UInt32 {
    UInt32(truncatingIfNeeded: try read("inl", UInt64(port)))
  }
  func writePort8(_ port: UInt16, _ value: UInt8) throws { try command("outb \(port) \(value)") }

  private func read(_ name: String, _ address: UInt64) throws -> UInt64 {
    let answer = try command("\(name) \(address)")
    guard let value = UInt64(answer.dropFirst(2), radix: 16) else { throw Refused(answer: answer) }
    return value
  }

  /// Sets the level of an input of the device at an object path.
  func setInput(_ path: String, _ input: Int, level: Bool) throws {
    try command("set_irq_in \(path) unnamed-gpio-in \(input) \(level ? 1 : 0)")
  }

  /// The object path of the board's first device of a type, such as `riscv.sifive.plic`.
  static func path(ofType type: String, qemu: String) throws -> String? {
    let tree = try PlatformTool.run(
      qemu, virt + ["-monitor", "stdio"], input: Array("info qom-tree\nquit\n".utf8))
    for line in String(decoding: tree, as: UTF8.self).split(whereSeparator: \.isNewline)
    where line.contains("(\(type))") {
      let name = line.split(separator: " ").first { $0.hasPrefix("/device[") }
      return name.map { "/machine/unattached\($0)" }
    }
    return nil
  }
}
