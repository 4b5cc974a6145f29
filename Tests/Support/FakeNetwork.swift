internal import Glibc
internal import HostSystem

/// Stands in for `volary-nat`: says that it is ready, and ends when the machine's end closes. The guest
/// port 1 cannot be published.
enum FakeNetwork {
  static func run(_ arguments: [String]) -> Int32 {
    let status = UnixSocket(Descriptor(owning: 4))
    if arguments.contains(where: { $0.contains(":1/") }) {
      _ = try? status.send(Array("error: cannot listen on port 1: Permission denied\n".utf8))
      return 1
    }
    _ = try? status.send(Array("ready\n".utf8))
    let frames = UnixSocket(Descriptor(owning: 3))
    while let packet = try? frames.receive(capacity: 2048), !packet.bytes.isEmpty {}
    return 0
  }
}
