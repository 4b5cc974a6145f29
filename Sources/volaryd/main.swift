internal import ArgumentParser
internal import Foundation
internal import Glibc
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryServer

/// `volaryd`: instances, images and networks of this host, over one API.
struct VolarydCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "volaryd", abstract: "Keep instances, and answer for them over one API.",
    subcommands: [Serve.self, Install.self, Uninstall.self], defaultSubcommand: Serve.self)

  /// What it does when no more is said.
  struct Serve: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the daemon, until SIGTERM.")

    @Option(help: "The directory of the daemon's files.")
    var data = DaemonPaths.dataDirectory

    @Option(
      help: "The path of the socket (default: \(DaemonPaths.ownSocket), or volaryd.sock in the --data given)."
    )
    var socket: String?

    @Option(help: "A group whose members may use the socket, and are as mighty as the daemon's user by that.")
    var group: String?

    @Flag(help: "Say which version this is, and end.")
    var version = false
  }

  struct Install: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make the daemon a service of the host's systemd; as root, or with --user your own.")

    @OptionGroup var options: ServiceOptions

    func run() throws { try options.carryOut { try $0.install() } }
  }

  struct Uninstall: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Take the service back. Instances and data stay, and machines go on.")

    @OptionGroup var options: ServiceOptions

    func run() throws { try options.carryOut { try $0.uninstall() } }
  }
}

struct ServiceOptions: ParsableArguments {
  @Flag(help: "Of your own systemd, without root.") var user = false
  @Flag(help: "Print what would be done.") var dryRun = false
  @Option(
    help: ArgumentHelp(
      "Put the unit below this directory and run nothing, for packages.", valueName: "directory"))
  var root: String?

  func carryOut(_ body: (ServiceInstallation) throws -> Void) throws {
    do { try body(ServiceInstallation(user ? .user : .system, root: root, isDryRun: dryRun)) } catch let error
      as APIError
    {
      FileHandle.standardError.write(Data("volaryd: \(error)\n".utf8))
      throw ExitCode(error.code.exitCode)
    }
  }
}

var command: any ParsableCommand
do { command = try VolarydCommand.parseAsRoot() } catch { VolarydCommand.exit(withError: error) }
guard let serve = command as? VolarydCommand.Serve else {
  do { try command.run() } catch { VolarydCommand.exit(withError: error) }
  exit(0)
}
if serve.version {
  print("volaryd \(volaryVersion)")
  exit(0)
}
let logger = Logger(label: "volaryd") { StreamLogHandler.standardError(label: $0) }
let data = DaemonPaths.absolute(serve.data)
let socketPath =
  serve.socket.map(DaemonPaths.absolute)
  ?? (data == DaemonPaths.dataDirectory ? DaemonPaths.ownSocket : data + "/volaryd.sock")
let daemon = VolaryDaemon(
  .init(socketPath: socketPath, dataDirectory: data, group: serve.group), logger: logger,
  parts: { services in [InstancePart(services)] })
do { try await daemon.run() } catch {
  logger.critical("\(error)")
  exit(1)
}
