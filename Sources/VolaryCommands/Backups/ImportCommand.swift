internal import ArgumentParser
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `volary import`.
struct ImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Make an instance of a file that 'volary export' wrote.",
    discussion: """
      volary import web.tar.zst
      volary import web.tar.zst again -s fast
      Disks of other systems come in with 'volary image import'.
      """)

  @Argument(help: "The file; - is standard input.", completion: .file()) var file: String
  @Argument(help: "The instance's name; the one that it had without.") var name: String?
  @Option(
    name: .shortAndLong, help: ArgumentHelp("The pool of its disk.", valueName: "pool"),
    completion: StorageCompletion.names)
  var storage: String?
  @OptionGroup var project: ProjectOption

  func run() throws {
    let headers = [("X-Incus-name", name), ("X-Incus-pool", storage)].compactMap { key, value in
      value.map { (key, $0) }
    }
    let operation = try BackupTransfer("/1.0/instances", project.query).upload(file, headers: headers)
    let made = operation.madeName("instances")
    var words = "\(made) is made\n"
    for device in operation.metadata?["volumes_left_out"]?.array ?? [] {
      words +=
        "volary: \(made) has no device `\(device.string ?? "")`: its volume is not here, or is another's\n"
    }
    FileHandle.standardError.write(Data(words.utf8))
  }
}
