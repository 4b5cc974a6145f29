internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import VolaryAPI
internal import VolaryHost

/// `volary export`.
struct ExportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write an instance to a file that it can be made again from.",
    discussion: """
      volary export web
      volary export web /mnt/backup/web.tar --compression none
      It may run: its disk is what it would be if the power had been cut at that moment. The file is a tar archive whose
      disks are qcow2 images; 'volary import' reads it, here or elsewhere.
      """)

  @Argument(help: "The instance.", completion: InstanceCompletion.names) var instance: String
  @Argument(help: "The file; - is standard output. NAME.tar.zst, or by its compression, without.")
  var file: String?
  @OptionGroup var options: BackupOptions
  @Flag(help: "Take the place of a file that is there.") var force = false
  @OptionGroup var project: ProjectOption

  func run() throws {
    let path = "/1.0/instances/\(APIEndpoint.escaped(instance))/backups"
    let only = options.instanceOnly
    try BackupTransfer(path, project.query).export(
      options.post { $0.instanceOnly = only }, to: file ?? instance + options.ending, replaces: force)
  }
}

/// How a backup is to be made.
struct BackupOptions: ParsableArguments {
  @Flag(help: "Leave its snapshots out.") var instanceOnly = false
  @Option(help: ArgumentHelp("none, gzip or zstd.", valueName: "kind")) var compression = "zstd"

  var ending: String { [".tar", ".tar.gz", ".tar.zst"][["none": 0, "gzip": 1][compression] ?? 2] }

  func validate() throws {
    guard ["none", "gzip", "zstd"].contains(compression) else {
      throw ValidationError("'\(compression)' is no compression: there are none, gzip and zstd.")
    }
  }

  func post(_ edit: (inout BackupsPost) -> Void) -> BackupsPost {
    var post = BackupsPost(compressionAlgorithm: compression)
    edit(&post)
    return post
  }
}
