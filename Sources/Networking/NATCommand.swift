internal import CHost
internal import Glibc
internal import HostSystem
internal import MachineControl

/// The command line of `volary-nat`: user-mode NAT for one machine, in a process of its own because
/// the machine's is static and may open no sockets.
package struct NATCommand: Equatable, Sendable {
  /// The descriptor of the socket that carries frames.
  package var frames: Int32
  /// The descriptor that is told `ready` or `error: …` in one line, and then closed; nil for none.
  package var status: Int32?
  package var configuration = NATConfiguration()

  package static let usage = """
    usage: volary-nat --frames FD [--status FD] [--publish [HOSTADDR:]HOSTPORT:GUESTPORT[/udp]]...
           [--network ADDRESS/BITS] [--hostname NAME] [--mtu BYTES] [--no-ipv6] [--restricted]
           [--no-host-loopback]
    """

  /// Reads the arguments, without the program's name.
  package init(arguments: [String]) throws(NATError) {
    var frames: Int32?
    var rest = arguments[...]
    while let option = rest.popFirst() {
      func value() throws(NATError) -> String {
        guard let value = rest.popFirst() else { throw .usage("\(option) needs a value") }
        return value
      }
      func number() throws(NATError) -> Int32 {
        let text = try value()
        guard let number = Int32(text), number >= 0 else {
          throw .usage("\(option) needs a number, not \(text)")
        }
        return number
      }
      switch option {
      case "--frames": frames = try number()
      case "--status": status = try number()
      case "--publish":
        let text = try value()
        do {
          configuration.publishedPorts.append(try PublishedPort(parsing: text))
        } catch {
          throw .usage(error.description)
        }
      case "--network":
        let text = try value()
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let network = IPv4Address(parts[0]), let bits = Int(parts[1]) else {
          throw .usage("--network needs ADDRESS/BITS, such as 10.0.2.0/24, not \(text)")
        }
        configuration.network = network
        configuration.prefixLength = bits
      case "--hostname": configuration.hostname = try value()
      case "--mtu": configuration.mtu = Int(try number())
      case "--no-ipv6": configuration.hasIPv6 = false
      case "--restricted": configuration.isRestricted = true
      case "--no-host-loopback": configuration.reachesHostLoopback = false
      default: throw .usage("unknown argument \(option)")
      }
    }
    guard let frames else { throw .usage("--frames is missing") }
    self.frames = frames
    try configuration.validate()
  }

  /// Runs the program and returns its exit code: 0 when the machine closed its end, else
  /// ``NATError/exitCode``.
  package static func main(arguments: [String]) -> Int32 {
    // It ends with its machine, not by a key in the terminal that it shares with a program.
    signal(SIGINT, SIG_IGN)
    signal(SIGHUP, SIG_IGN)
    // Found apart from the rest, so that wrong arguments are told there as well.
    let place = arguments.firstIndex(of: "--status").map { $0 + 1 } ?? arguments.endIndex
    var status = (arguments.indices.contains(place) ? Int32(arguments[place]) : nil).map(
      Descriptor.init(owning:))
    do throws(NATError) {
      let command = try NATCommand(arguments: arguments)
      let service = try NATService(
        command.configuration, frames: Descriptor(owning: command.frames), report: limitedReport())
      try confine()
      tell(status, "ready\n")
      status = nil
      do {
        try service.run()
      } catch {
        throw .system("wait for frames", error)
      }
      return 0
    } catch {
      tell(status, "error: \(error)\n")
      var text = "volary-nat: \(error)\n"
      if case .usage = error { text += usage + "\n" }
      tell(Descriptor(owning: dup(2)), text)
      return error.exitCode
    }
  }

  private static func tell(_ descriptor: Descriptor?, _ text: String) {
    // Nobody is left to be told when this fails.
    try? Array(text.utf8).withUnsafeBytes { try descriptor?.writeAll($0) }
  }

  /// Passes on the first messages about the guest; a hostile one could fill a disk.
  private static func limitedReport() -> (String) -> Void {
    var left = 20
    return { message in
      guard left > 0 else { return }
      left -= 1
      tell(Descriptor(owning: dup(2)), "volary-nat: guest: \(message)\n")
    }
  }

  /// Gives up what the ports are no longer needed for: root, capabilities, new programs, changes to
  /// files. A connection of the guest is a descriptor, so those have a bound.
  private static func confine() throws(NATError) {
    do {
      try check(volary_limit_descriptors(4096))
      try check(volary_become_nobody())
      try check(volary_forbid_new_rights())
      try check(volary_filter_network_helper())
    } catch {
      throw .system("give up rights", error)
    }
  }
}
