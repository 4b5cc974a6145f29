internal import ArgumentParser
internal import Glibc
internal import Logging
internal import MachineControl
internal import VolaryAPI
internal import VolaryServer

/// `volaryd`: instances, images and networks of this host, over one API.
struct VolarydOptions: ParsableArguments {
  @Option(help: "The directory of the daemon's files.")
  var data = DaemonPaths.dataDirectory

  @Option(
    help: "The path of the socket (default: \(DaemonPaths.socket), or volaryd.sock in the --data given).")
  var socket: String?

  @Flag(help: "Say which version this is, and end.")
  var version = false
}

let options = VolarydOptions.parseOrExit()
if options.version {
  print("volaryd \(volaryVersion)")
  exit(0)
}
let logger = Logger(label: "volaryd") { StreamLogHandler.standardError(label: $0) }
let ownSocket =
  options.data == DaemonPaths.dataDirectory ? DaemonPaths.socket : options.data + "/volaryd.sock"
let daemon = VolaryDaemon(
  .init(socketPath: options.socket ?? ownSocket, dataDirectory: options.data), logger: logger,
  parts: { services in [InstancePart(services)] })
do { try await daemon.run() } catch {
  logger.critical("\(error)")
  exit(1)
}
