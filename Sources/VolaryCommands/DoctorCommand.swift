import ArgumentParser
import Foundation
internal import VolaryHost

/// `volary doctor`: what this host can do, and what to install for more.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Tell what this host can do, and what to install for more.",
    discussion: "Ends with 1 when something is missing that machines or images need.")

  enum Format: String, CaseIterable, ExpressibleByArgument {
    case table
    case json
  }

  @Option(name: .shortAndLong, help: "table or json.")
  var format = Format.table

  func run() throws {
    let findings = HostExamination.findings()
    switch format {
    case .table: print(Self.table(findings))
    case .json:
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(findings), as: UTF8.self))
    }
    if findings.contains(where: { $0.verdict == .missing }) { throw ExitCode.failure }
  }

  /// A line a finding, and one more for its remedy.
  static func table(_ findings: [Finding]) -> String {
    let width = findings.map(\.name.count).max() ?? 0
    return findings.flatMap { finding in
      let name = finding.name.padding(toLength: width, withPad: " ", startingAt: 0)
      let verdict = finding.verdict.rawValue.padding(toLength: 7, withPad: " ", startingAt: 0)
      let line = "\(verdict)  \(name)  \(finding.detail)"
      let indent = String(repeating: " ", count: 7 + 2 + width + 2)
      return [line] + (finding.remedy.map { ["\(indent)-> \($0)"] } ?? [])
    }.joined(separator: "\n")
  }
}
