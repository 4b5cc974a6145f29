import Foundation
import RISCV
import Testing
import Translator

/// Guest code, its intermediate representation and the x86-64 code that comes of it, as they were when somebody last
/// looked at them: Tests/Golden. `make golden` writes them anew; the difference is for people to read.
///
/// The disassembler that they are written by says what objdump says (AssemblerTests).
@Suite(.serialized) struct GoldenTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent().appendingPathComponent("Golden")
  static let isWriting = ProcessInfo.processInfo.environment["VOLARY_WRITE_GOLDEN"] != nil

  enum Group: String, CaseIterable, CustomTestStringConvertible {
    case integer, float, operands, memory, flow, system
    var testDescription: String { rawValue }

    var programs: [GoldenProgram] {
      switch self {
      case .integer: GoldenProgram.operations(float: false)
      case .float: GoldenProgram.operations(float: true)
      case .operands: GoldenPrograms.operands
      case .memory: GoldenPrograms.memory
      case .flow: GoldenPrograms.flow
      case .system: GoldenPrograms.system
      }
    }
  }

  @Test(arguments: Group.allCases)
  func isAsBefore(group: Group) throws {
    let programs = group.programs
    #expect(programs.count > 5)
    let text = try programs.map { try $0.text() }.joined(separator: "\n")
    let file = Self.folder.appendingPathComponent("\(group.rawValue).txt")
    if Self.isWriting {
      try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
      try text.write(to: file, atomically: true, encoding: .utf8)
    }
    let kept = try String(contentsOf: file, encoding: .utf8)
    guard kept != text else { return }
    let (now, before) = (text.split(separator: "\n"), kept.split(separator: "\n"))
    let line = zip(now, before).enumerated().first { $0.element.0 != $0.element.1 }?.offset
    let place = line ?? min(now.count, before.count)
    let title = now[..<min(place + 1, now.count)].last { $0.hasPrefix("## ") } ?? ""
    Issue.record(
      """
      \(group.rawValue).txt, \(title): \(place < before.count ? before[place] : "nothing") was, \
      \(place < now.count ? now[place] : "nothing") is. If that is meant: make golden, and look at the difference.
      """)
  }

  /// Every operation that a front end can use is among them, but for those of other front ends.
  @Test func everyOperationIsKept() throws {
    let text = try Group.allCases.map {
      try String(contentsOf: Self.folder.appendingPathComponent("\($0.rawValue).txt"), encoding: .utf8)
    }.joined()
    let words = Set(text.split { !$0.isLetter && !$0.isNumber })
    for operation in Operation.allCases where operation != .refetch {
      #expect(words.contains("\(operation)"), "no program has the operation \(operation)")
    }
  }
}
