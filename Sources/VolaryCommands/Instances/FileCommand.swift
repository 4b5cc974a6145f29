internal import ArgumentParser
internal import Foundation
internal import NIOCore
internal import VolaryAPI
internal import VolaryHost

/// `volary file`.
struct FileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "file", abstract: "Files of a running instance, through its agent.",
    subcommands: [PushCommand.self, PullCommand.self, DeleteFileCommand.self])
}

/// `volary file push`.
struct PushCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "push", abstract: "Write files and folders into an instance.",
    discussion: """
      volary file push site.conf web/etc/nginx/conf.d/
      volary file push -r public web/srv/www
      tar c . | volary file push - web/tmp/all.tar
      """)

  @Argument(help: "Files here, - for standard input, and last where they go: INSTANCE/PATH.")
  var words: [String]

  @Flag(name: .shortAndLong, help: "Folders with all that is in them.")
  var recursive = false

  @Flag(name: [.customShort("p"), .long], help: "Make folders that are missing.")
  var createDirs = false

  @Option(help: ArgumentHelp("The owner's number.", valueName: "number"))
  var uid: UInt32?

  @Option(help: ArgumentHelp("The group's number.", valueName: "number"))
  var gid: UInt32?

  @Option(help: ArgumentHelp("The permissions, such as 0644; as they are here without.", valueName: "mode"))
  var mode: String?

  @OptionGroup var project: ProjectOption

  func run() throws {
    guard words.count > 1, let last = words.last else {
      throw VolaryError(.usage, "nothing is to be written", wayOut: "name files, then INSTANCE/PATH")
    }
    let target = try GuestPath(last)
    let sources = words.dropLast()
    var headers: [(String, String)] = []
    if let uid { headers.append(("X-Incus-uid", "\(uid)")) }
    if let gid { headers.append(("X-Incus-gid", "\(gid)")) }
    let transfer = FileTransfer(instance: target.instance, query: project.query, headers: headers, mode: mode)
    let (recursive, createDirs) = (recursive, createDirs)
    try Daemon.run { client in
      let isFolder = target.path.hasSuffix("/") || sources.count > 1
      if createDirs {
        let folder = isFolder ? target.path : (target.path as NSString).deletingLastPathComponent
        try await transfer.makeFolders(folder, client)
      }
      // A folder that is there takes what is written, as cp(1) has it.
      let takes = isFolder ? true : try await transfer.isFolder(target.path, client)
      for source in sources {
        let name = source == "-" ? "stdin" : URL(fileURLWithPath: source).lastPathComponent
        let path = takes ? (target.path as NSString).appendingPathComponent(name) : target.path
        try await transfer.push(source, to: path, recursive: recursive, client)
      }
    }
  }
}

/// `volary file pull`.
struct PullCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pull", abstract: "Fetch files and folders from an instance.",
    discussion: """
      volary file pull web/var/log/nginx/error.log .
      volary file pull web/etc/os-release -
      """)

  @Argument(help: "INSTANCE/PATH, again for more, and last where they go here; - for standard output.")
  var words: [String]

  @Flag(name: .shortAndLong, help: "Folders with all that is in them.")
  var recursive = false

  @OptionGroup var project: ProjectOption

  func run() throws {
    guard words.count > 1, let target = words.last else {
      throw VolaryError(.usage, "nothing is to be fetched", wayOut: "name INSTANCE/PATH, then where it goes")
    }
    let sources = try words.dropLast().map { try GuestPath($0) }
    var isFolder: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: target, isDirectory: &isFolder)
    let takes = exists && isFolder.boolValue
    if sources.count > 1, !takes, target != "-" {
      throw VolaryError(.usage, "'\(target)' is no folder, and more than one file is to be fetched")
    }
    let (query, recursive) = (project.query, recursive)
    try Daemon.run { client in
      for source in sources {
        let transfer = FileTransfer(instance: source.instance, query: query)
        let name = (source.path as NSString).lastPathComponent
        let path = takes ? (target as NSString).appendingPathComponent(name) : target
        try await transfer.pull(source.path, to: path, recursive: recursive, client)
      }
    }
  }
}

/// `volary file delete`.
struct DeleteFileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Remove files and empty folders of an instance.", aliases: ["rm"])

  @Argument(help: "INSTANCE/PATH, again for more.")
  var paths: [String]

  @OptionGroup var project: ProjectOption

  func run() throws {
    let paths = try paths.map { try GuestPath($0) }
    let query = project.query
    try Daemon.run { client in
      for path in paths {
        try await client.delete(
          "/1.0/instances/\(APIEndpoint.escaped(path.instance))/files", query: query + [("path", path.path)])
      }
    }
  }
}

/// `web/etc/hosts`: the file /etc/hosts of the instance `web`.
struct GuestPath: Sendable {
  let instance: String
  let path: String

  init(_ text: String) throws(VolaryError) {
    guard let slash = text.firstIndex(of: "/"), slash != text.startIndex else {
      throw VolaryError(.usage, "'\(text)' names no file of an instance", wayOut: "write it as INSTANCE/PATH")
    }
    instance = String(text[..<slash])
    path = String(text[slash...])
  }
}
