import Foundation
import Testing
import VolaryAPI

/// How many connections one may have.
@Suite struct ConnectionTests {
  /// Opens as many as there may be, and says what becomes of the next, of another's, and of one when another has gone.
  private static let script = """
    import resource, socket, ssl, sys, time
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    kind, place = sys.argv[1], sys.argv[2]
    def connect(source="127.0.0.1"):
        if kind == "unix":
            s = socket.socket(socket.AF_UNIX); s.connect(place)
        else:
            host, port = place.rsplit(":", 1)
            s = socket.create_connection((host, int(port)), source_address=(source, 0))
        s.settimeout(20)
        return s
    def lives(s):
        try:
            if kind != "unix": s = ssl._create_unverified_context().wrap_socket(s)
            s.sendall(b"GET /healthz HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
            return s if len(s.recv(1000)) > 0 else None
        except OSError: return None
    held = []
    # One after the other, each answered before the next comes.
    for _ in range(520):
        s = lives(connect())
        if s: held.append(s)
    print("held", len(held))
    if kind != "unix": print("other", lives(connect("127.0.0.2")) is not None)
    held.pop().close()
    for _ in range(200):
        if lives(connect()): print("again True"); break
        time.sleep(0.05)
    else: print("again False")
    """

  @Test func areBoundByUserAndAddress() async throws {
    let daemon = try await TestDaemon()
    // A request of this test's own may still be on its way out.
    try await Task.sleep(for: .milliseconds(100))
    let unix = try run("python3", ["-c", Self.script, "unix", daemon.socket])
    #expect(String(decoding: unix.output, as: UTF8.self) == "held 512\nagain True\n", "\(unix.errors)")
    // What the script held goes with it, in a moment.
    let set = #"{"config":{"core.https_address":"127.0.0.1:0"}}"#
    #expect(await eventually { (try? daemon.curl("/1.0", "PATCH", body: set))?.status == 200 })
    let addresses = try daemon.curl("/1.0").json["metadata"]?["environment"]?["addresses"]
    let address = try #require(addresses?.array?.first?.string)
    let network = try run("python3", ["-c", Self.script, "tcp", address])
    #expect(
      String(decoding: network.output, as: UTF8.self) == "held 512\nother True\nagain True\n",
      "\(network.errors)")
  }
}
