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

let arguments = CommandLine.arguments
if arguments.dropFirst() == ["--version"] {
  print("volary-machine \(volaryVersion)")
  exit(0)
}
guard arguments.count == 3, arguments[1] == "--control", let number = Int32(arguments[2]), number > 2 else {
  fail(
    "usage: volary-machine --control DESCRIPTOR (volary starts this program; it is not for the command line)",
    code: 2)
}

signal(SIGPIPE, SIG_IGN)
// A limit of file sizes is an error of the disk, told as such.
signal(SIGXFSZ, SIG_IGN)
do {
  let server = ControlServer(UnixSocket(Descriptor(owning: number)))
  let controller = MachineController(
    closeSandbox: { (deviceRequests) throws(ControlFailure) in
      var options = Sandbox.Options()
      options.deviceRequests = deviceRequests
      do throws(Sandbox.Failure) { try Sandbox.apply(options) } catch {
        throw ControlFailure(.hostRefused, phase: "closing the sandbox", message: error.description)
      }
    },
    send: { server.send($0) },
    onEnd: { exit(0) })
  // Ends with the controller: a machine that nobody holds is nobody's.
  try server.serve(controller)
  exit(0)
} catch {
  fail("\(error)")
}
