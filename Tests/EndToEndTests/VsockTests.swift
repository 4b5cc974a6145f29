import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Sockets between a stock kernel's programs and the host's.
  @Suite(.serialized, .boots) struct VsockTests {
    /// A server that gives back what it got, when it has got all; a client; and one that finds nobody. Perl has no
    /// module for these addresses (vsock(7)), and needs none.
    private static let script = """
      cat >/tmp/vsock.pl <<'END'
      use strict; use Socket; $| = 1; $SIG{CHLD} = 'IGNORE';
      sub address { pack 'SSLLx4', 40, 0, $_[0], $_[1] }
      sub stream { socket(my $s, 40, SOCK_STREAM, 0) or die "socket: $!"; $s }
      sub dial { my $s = stream(); connect($s, address($_[0], 2)) ? $s : undef }
      my $listener = stream();
      bind($listener, address(1234, 0xFFFFFFFF)) or die "bind: $!";
      listen($listener, 64) or die "listen: $!";
      if (!fork) {
        while (1) {
          accept(my $program, $listener) or next;
          next if fork;
          local $/; my $all = <$program>;
          print {$program} $all; close $program; exit 0;
        }
      }
      print "serving\\n";
      my $host = dial(5000) or die "connect: $!";
      open my $file, '<', '/tmp/sent'; { local $/; print {$host} <$file>; }
      $host->flush; shutdown $host, 1;
      open my $copy, '>', '/tmp/came'; { local $/; print {$copy} <$host>; } close $copy;
      print "nobody: ", (dial(5001) ? 'somebody' : $!), "\\n";
      END
      head -c 3000000 /dev/urandom >/tmp/sent
      perl -MIO::Handle /tmp/vsock.pl; sha256sum /tmp/sent /tmp/came
      dmesg | grep -icE 'warning|oops|bug:'
      cat >/dev/null; exit 6
      """

    /// Reads to the end of a socket that is nonblocking.
    private static func readAll(_ socket: UnixSocket) throws -> [UInt8] {
      var bytes: [UInt8] = []
      while try socket.waitUntilReadable(milliseconds: 120_000) {
        let piece = try socket.receive(capacity: 1 << 16).bytes
        if piece.isEmpty { return bytes }
        bytes += piece
      }
      throw Errno.timedOut
    }

    private static func writeAll(_ bytes: [UInt8], to socket: UnixSocket) throws {
      var rest = bytes[...]
      while !rest.isEmpty {
        guard try socket.waitUntilWritable(milliseconds: 120_000) else { throw Errno.timedOut }
        do { rest = rest.dropFirst(try socket.send(Array(rest.prefix(1 << 16)))) } catch {
          if error != .again { throw error }
        }
      }
    }

    /// Says to which port of the guest a program wants, and is answered.
    private static func dial(_ path: String, port: Int) throws -> UnixSocket {
      let socket = try UnixSocket.connect(toPath: path)
      try socket.send(Array("CONNECT \(port)\n".utf8))
      var line: [UInt8] = []
      while line.last != UInt8(ascii: "\n") {
        guard try socket.waitUntilReadable(milliseconds: 120_000) else { throw Errno.timedOut }
        let byte = try socket.receive(capacity: 1).bytes
        if byte.isEmpty { throw Errno.brokenPipe }
        line += byte
      }
      #expect(String(decoding: line, as: UTF8.self).hasPrefix("OK "))
      return socket
    }

    @Test(arguments: ["mmio", "pci"]) func bothWays(bus: String) async throws {
      let folder = TestFolder()
      let path = "\(folder.path)/v.sock"
      let port = try UnixListener(path: "\(path)_5000")
      let machine = try VolaryRun.job(
        Self.script, options: ["--vsock", path, "--virtio", bus, "--network", "none", "--cpus", "2"],
        lasts: true)
      guard try machine.run.awaitOutput("serving", within: 200) else {
        Issue.record("the guest does not serve: \(try machine.finish(within: 200))")
        return
      }

      // The guest's connection: all it sends, and then an answer of which the end shows.
      try #require(Bench.eventually { self.waits(port) })
      let fromGuest = try #require(try port.accept())
      let sent = try Self.readAll(fromGuest)
      #expect(sent.count == 3_000_000)
      let answer = Bench.randomBytes(4 << 20)
      try Self.writeAll(answer, to: fromGuest)
      fromGuest.finishSending()
      #expect(try machine.run.awaitOutput("nobody: ", within: 200))

      // The host's connections, one large and many small, all there at once; each one's first direction ends first.
      let content = (0..<24).map { Bench.randomBytes($0 == 0 ? 3 << 20 : 50_000 + $0) }
      let programs = try content.map { _ in try Self.dial(path, port: 1234) }
      try await withThrowingTaskGroup(of: Bool.self) { group in
        for (program, bytes) in zip(programs, content) {
          group.addTask {
            try Self.writeAll(bytes, to: program)
            program.finishSending()
            return try Self.readAll(program) == bytes
          }
        }
        for try await isSame in group { #expect(isSame) }
      }
      // Nobody listens there.
      #expect(throws: Errno.self) { try Self.dial(path, port: 4321) }

      let outcome = try machine.finish(within: 200)
      #expect(outcome.exit == .code(6), "\(outcome.errors)")
      let lines = outcome.output.split(separator: "\n").map(String.init)
      #expect(
        lines == [
          "serving", "nobody: Connection reset by peer", "\(try Bench.sha256(sent))  /tmp/sent",
          "\(try Bench.sha256(answer))  /tmp/came", "0",
        ], "\(outcome.output) \(outcome.errors)")
      #expect(machine.leftovers.isEmpty)
      #expect(folder.content == ["v.sock_5000"])
    }

    private func waits(_ listener: UnixListener) -> Bool {
      var entry = pollfd(fd: listener.descriptor.raw, events: Int16(POLLIN), revents: 0)
      return poll(&entry, 1, 0) > 0
    }

    @Test func aSocketThatIsLeftIsReplaced() throws {
      let folder = TestFolder()
      let path = "\(folder.path)/v.sock"
      // What it leaves when it is killed with all its rights to say goodbye.
      let killed = try VolaryRun.job("cat", options: ["--vsock", path, "--network", "none"])
      #expect(Bench.eventually { access(path, F_OK) == 0 })
      let second = try VolaryRun.job("true", options: ["--vsock", path, "--network", "none"])
      let refused = try second.finish(within: 200)
      #expect(refused.code == 5)
      #expect(refused.errors.isOneLine(naming: path, "in use"), "\(refused.errors)")
      kill(killed.pid, SIGKILL)
      _ = try? killed.finish(within: 200)
      #expect(folder.content == ["v.sock"])
      let third = try VolaryRun.job("exit 3", options: ["--vsock", path, "--network", "none"])
      let outcome = try third.finish(within: 200)
      #expect(outcome.code == 3)
      #expect(outcome.errors.isOneLine(naming: path, "made anew"), "\(outcome.errors)")
      #expect(folder.content == [])
    }
  }
}
