import CHost
import Glibc
import HostSystem
import Synchronization
import Testing

/// The system-call filter, on a thread of its own: filters hold for the thread that sets them.
@Suite struct ConfinementTests {
  private final class Codes: Sendable { let found = Mutex<[String: Int32]>([:]) }

  @Test func `reading and sockets stay, changes and programs go`() throws {
    let path = "/tmp/volary-confine-\(getpid())"
    try Descriptor.open(path, O_RDWR | O_CREAT).truncate(to: 0)
    defer { unlink(path) }
    let codes = Codes()
    try HostSystem.Thread.start(name: "confined") {
      guard let symbol = dlsym(nil, "prctl") else { return }
      typealias Control = @convention(c) (Int32, UInt, UInt, UInt, UInt) -> Int32
      _ = unsafeBitCast(symbol, to: Control.self)(38 /* PR_SET_NO_NEW_PRIVS */, 1, 0, 0, 0)
      var found = ["filter": volary_filter_network_helper()]
      func note(_ name: String, _ call: () -> Int32) {
        errno = 0
        let result = call()
        found[name] = result < 0 ? errno : 0
        if result > 2 { close(result) }
      }
      note("read") { open(path, O_RDONLY) }
      note("socket") { socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) }
      note("write") { open(path, O_WRONLY) }
      note("both") { open(path, O_RDWR) }
      note("create") { open(path + ".new", O_CREAT, 0o600) }
      note("truncate") { open(path, O_TRUNC) }
      note("unlink") { unlink(path) }
      note("rename") { rename(path, path + ".new") }
      note("mkdir") { mkdir(path + ".new", 0o700) }
      note("chmod") { chmod(path, 0o777) }
      note("execute") { execv("/bin/true", [nil]) }
      note("mount") { mount("none", "/", nil, 0, nil) }
      let all = found
      codes.found.withLock { $0 = all }
    }.join()
    let found = codes.found.withLock { $0 }
    #expect(found["filter"] == 0)
    #expect(found["read"] == 0 && found["socket"] == 0)
    for name in [
      "write", "both", "create", "truncate", "unlink", "rename", "mkdir", "chmod", "execute", "mount",
    ] {
      #expect(found[name] == EPERM, "\(name)")
    }
  }
}
