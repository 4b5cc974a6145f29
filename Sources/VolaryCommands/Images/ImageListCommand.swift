package import ArgumentParser
import Foundation
internal import VolaryHost

/// `volary image list`.
package struct ImageListCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the images kept on this host.", aliases: ["ls"])

  @Option(
    name: .shortAndLong,
    help: "table, compact, json, yaml or csv; without it, a table on a terminal and compact elsewhere.")
  var format: String?

  @Flag(name: .shortAndLong, help: "Only the names.")
  var quiet = false

  package init() {}

  package func run() throws {
    try ImageCommand.reporting {
      let store = ImageStore()
      try store.checkAccess()
      let records = store.list().map(\.record)
      if quiet {
        records.forEach { print($0.name) }
        return
      }
      guard let format = ListFormat.named(format) else {
        throw ImageError(.usage, "unknown format '\(format ?? "")'; known are \(ListFormat.names)")
      }
      print(try ImageTable.text(records, format: format), terminator: "")
    }
  }
}
