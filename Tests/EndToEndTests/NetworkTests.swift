import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  @Suite(.serialized, .boots) struct NetworkTests {
    /// 10.0.2.2 is the host, as the guest sees it.
    @Test func guestFetchesFromTheHost() throws {
      let body = Bench.randomBytes(20 << 20)
      let server = try HTTPServer(body)
      let machine = try VolaryRun.job(
        "/usr/lib/volary/busybox wget -q -O - http://10.0.2.2:\(server.port)/ | sha256sum")
      let outcome = try machine.finish(within: 300)
      #expect(outcome.output == "\(try Bench.sha256(body))  -\n", "\(outcome.errors)")
    }

    @Test func publishedPortLeadsIntoTheGuest() throws {
      let (socket, port) = try Loopback.listen()
      _ = consume socket
      let machine = try VolaryRun.job(
        """
        mkdir /tmp/www; echo from the guest >/tmp/www/page
        /usr/lib/volary/busybox httpd -h /tmp/www -p 80; echo serving; cat >/dev/null; exit 5
        """,
        options: ["--publish", "\(port):80"])
      #expect(try machine.run.awaitOutput("serving", within: 200))
      let answer = try Loopback.ask(port, "GET /page HTTP/1.0\r\n\r\n")
      #expect(answer.hasPrefix("HTTP/1.") && answer.hasSuffix("\r\n\r\nfrom the guest\n"), "\(answer)")
      #expect(try machine.finish(within: 60).exit == .code(5))
    }

    @Test func withoutANetworkThereIsNone() throws {
      let machine = try VolaryRun.job("ls /sys/class/net", options: ["--network", "none"])
      #expect(try machine.finish(within: 200).output == "lo\n")
    }

    @Test func portInUseIsNamed() throws {
      let (socket, port) = try Loopback.listen()
      let machine = try VolaryRun([
        "run", "--arch", "riscv64", Bench.imageName, "--publish", "\(port):80", "--", "true",
      ])
      let outcome = try withExtendedLifetime(socket) { try machine.finish(within: 60) }
      #expect(outcome.code == 5)
      #expect(outcome.errors.isOneLine(naming: "\(port)", "use"), "\(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
    }
  }
}
