package import ArgumentParser
import DiskImages
import Foundation
internal import VolaryHost

/// `volary image convert`: writes a disk image in another format.
package struct ImageConvertCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "convert",
    abstract: "Write a disk image in another format.",
    discussion: """
      Formats are \(DiskSource.formatNames). Without -f the source's format is told from its contents, and without -O \
      the target's from its name; state both for files that a guest wrote to as a raw disk. Parts that are zero take \
      no room. A file that an image names as its base is read only when --backing names it too.

      vmdk images are written stream-optimised, as OVA files hold them; vdi, vhd and vhdx ones dynamic.

      Source and target may be disks of a server: nbd://host[:port]/export, nbds://… with TLS (by the certificates in \
      the folder that ?tls-certificates= names, or the host's authorities), or nbd+unix:///export?socket=PATH. They \
      are raw unless -f says otherwise. A target that may hold something already takes --force.
      """)

  @Option(
    name: [.customShort("f"), .customLong("format")],
    help: ArgumentHelp("The source's format.", valueName: "format"))
  var sourceFormat: String?

  @Option(
    name: [.customShort("O"), .customLong("target-format")],
    help: ArgumentHelp("The target's format.", valueName: "format"))
  var targetFormat: String?

  @Flag(
    name: [.customShort("c"), .customLong("compress")], help: "Compress what the target holds (qcow2, vmdk).")
  var isCompressed = false

  @Option(help: ArgumentHelp("The image that the source was made on, when it is a layer.", valueName: "file"))
  var backing: String?

  @Flag(help: "Take the place of a file that is there, or of what a server's disk holds.")
  var force = false

  @Flag(name: .shortAndLong, help: "Show no progress, and not which formats were taken.")
  var quiet = false

  @Argument(help: ArgumentHelp("The image to read.", valueName: "source"), completion: .file()) var source:
    String
  @Argument(help: ArgumentHelp("The file to write.", valueName: "target"), completion: .file()) var target:
    String

  package init() {}

  package func run() throws {
    try ImageCommand.reporting {
      var conversion = DiskConversion(to: try Self.format(of: target, stated: targetFormat))
      conversion.isCompressed = isCompressed
      conversion.replaces = force
      try conversion.check()
      let source = try DiskSource(
        source, format: sourceFormat.map { try DiskSource.format(named: $0) }, backing: backing)
      if !quiet, source.isTold || targetFormat == nil {
        Self.say(
          "\(source.path) is read as \(source.format.rawValue), \(target) written as \(conversion.format.rawValue)"
        )
      }
      let progress = ByteProgress(isQuiet: quiet)
      defer { progress.clear() }
      try conversion.run(source, to: target) { progress.show($0, $1) }
    }
  }

  /// The format that was stated, or else the one of the name's ending; raw without a known one, and on a server.
  static func format(of file: String, stated: String?) throws -> DiskFormat {
    if let stated { return try DiskSource.format(named: stated) }
    // A server's own affair.
    if NBDLocation.isMeant(by: file) { return .raw }
    let ending = URL(fileURLWithPath: file).pathExtension.lowercased()
    return (try? DiskSource.format(named: ending)) ?? .raw
  }

  static func say(_ line: String) { FileHandle.standardError.write(Data("\(line)\n".utf8)) }
}
