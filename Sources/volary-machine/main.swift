import Glibc
import HostSystem
import Machine
import MachineControl

/// Says what is wrong on standard error and ends.
func fail(_ message: String, code: Int32 = 1) -> Never {
  let line = "volary-machine: \(message)\n"
  _ = line.withCString { write(2, $0, strlen($0)) }
  exit(code)
}

/// The descriptors that are named behind options on the command line; nil when something else is there.
func descriptors(_ arguments: [String]) -> [String: Int32]? {
  var found: [String: Int32] = [:]
  var rest = arguments.dropFirst()
  while let option = rest.popFirst() {
    guard let value = rest.popFirst(), let number = Int32(value), number > 2, !found.values.contains(number),
      ["--control", "--listener", "--examine", "--memory"].contains(option),
      found.updateValue(number, forKey: option) == nil
    else { return nil }
  }
  return found
}

if CommandLine.arguments.dropFirst() == ["--version"] {
  print("volary-machine \(volaryVersion)")
  exit(0)
}
let numbers = descriptors(CommandLine.arguments) ?? [:]
if let state = numbers["--examine"] {
  do {
    try Sandbox.apply(Sandbox.Options())
    try MachineState.examine(
      Descriptor(owning: state), memory: numbers["--memory"].map { [Descriptor(owning: $0)] } ?? [])
    exit(0)
  } catch let error as ControlFailure {
    fail(error.message)
  } catch { fail("\(error)") }
}
guard let control = numbers["--control"] else {
  fail(
    """
    usage: volary-machine --control DESCRIPTOR [--listener DESCRIPTOR], or --examine DESCRIPTOR --memory DESCRIPTOR \
    (volary starts this program; it is not for the command line)
    """, code: 2)
}

signal(SIGPIPE, SIG_IGN)
// A limit of file sizes is an error of the disk, told as such.
signal(SIGXFSZ, SIG_IGN)
do {
  let listener = numbers["--listener"].map { Descriptor(owning: $0) }
  let server = try ControlServer(UnixSocket(Descriptor(owning: control)), listener: listener)
  let controller = MachineController(
    closeSandbox: { (deviceRequests) throws(ControlFailure) in
      var options = Sandbox.Options()
      options.deviceRequests = deviceRequests
      options.listener = listener
      do throws(Sandbox.Failure) { try Sandbox.apply(options) } catch {
        throw ControlFailure(.hostRefused, phase: "closing the sandbox", message: error.description)
      }
    },
    send: { server.send($0) },
    onEnd: {
      // A controller that sleeps learns the rest from the record.
      server.drain(milliseconds: 2000)
      exit(0)
    })
  do { try server.serve(controller) } catch {
    controller.abandon(because: "\(error)")
    throw error
  }
  // A machine that nobody holds, and nobody can come back to, is nobody's.
  controller.abandon(because: "it is gone")
  exit(0)
} catch {
  fail("\(error)")
}
