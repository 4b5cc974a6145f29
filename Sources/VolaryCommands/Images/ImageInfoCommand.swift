package import ArgumentParser
import Foundation
internal import VolaryHost

/// `volary image info`: what a disk image in a file is.
package struct ImageInfoCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "info", abstract: "Show the format, the size and the layers of a disk image.",
    discussion:
      "The image is in a file, or a server's disk: nbd://host/export, nbds://…, nbd+unix:///…?socket=PATH.")

  @Argument(help: ArgumentHelp("The image.", valueName: "file"), completion: .file()) var file: String

  @Option(
    name: .shortAndLong,
    help: "table, compact, json, yaml or csv; without it, a table on a terminal and compact elsewhere.")
  var format: String?

  @Option(
    help: ArgumentHelp("The image's format; told from its contents when not given.", valueName: "format"))
  var sourceFormat: String?

  @Option(help: ArgumentHelp("The image that this one was made on, when it is a layer.", valueName: "file"))
  var backing: String?

  package init() {}

  package func run() throws {
    try ImageCommand.reporting {
      guard let format = ListFormat.named(format) else {
        throw ImageError(.usage, "unknown format '\(format ?? "")'; known are \(ListFormat.names)")
      }
      let layers = try DiskInformation.layers(
        of: file, format: sourceFormat.map { try DiskSource.format(named: $0) }, backing: backing)
      let table = TextTable(
        titles: ["FILE", "FORMAT", "SIZE", "DATA", "USED", "BACKING"], objects: layers,
        encoder: DiskInformation.encoder
      ) { layer in
        [
          layer.file, layer.format, layer.size.map { ByteCount.text($0) } ?? "-",
          layer.dataSize.map { ByteCount.text($0) } ?? "-", ByteCount.text(layer.storedSize),
          layer.backing ?? "",
        ]
      }
      print(try table.text(format), terminator: "")
    }
  }
}
