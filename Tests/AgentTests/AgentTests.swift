import AgentProtocol
import Foundation
import Glibc
import HostSystem
import Testing

@Suite struct AgentTests {
  @Test(arguments: AgentProgram.all) func runsPrograms(_ kind: AgentProgram.Kind) throws {
    let echo = try AgentProgram(kind).run(ExecRequest("echo", "a b", "c"))
    #expect(echo.text == "a b c\n")
    #expect(echo.code == 0)
    let both = try AgentProgram(kind).run(ExecRequest("sh", "-c", "echo out; echo err >&2; exit 7"))
    #expect(both.text == "out\n")
    #expect(String(decoding: both.errors, as: UTF8.self) == "err\n")
    #expect(both.code == 7)
    #expect(try AgentProgram(kind).run(ExecRequest("sh", "-c", "kill -TERM $$")).code == 128 + 15)
  }

  @Test(arguments: AgentProgram.all) func saysWhyAProgramCannotRun(_ kind: AgentProgram.Kind) throws {
    let missing = try AgentProgram(kind).run(ExecRequest("no-such-program"))
    #expect(missing.code == 127)
    #expect(String(decoding: missing.errors, as: UTF8.self).contains("no-such-program"))
    #expect(try AgentProgram(kind).run(ExecRequest("/etc/passwd")).code == 126)
    var nowhere = ExecRequest("pwd")
    nowhere.directory = Array("/no-such-folder".utf8)
    #expect(try AgentProgram(kind).run(nowhere).code == 126)
  }

  @Test(arguments: AgentProgram.all) func givesProgramsAUsersEnvironment(_ kind: AgentProgram.Kind) throws {
    let text = try AgentProgram(kind).run(ExecRequest("env", environment: ["HOME=/srv", "NEW=1"])).text
    let lines = Set(text.split(separator: "\n").map(String.init))
    #expect(lines.isSuperset(of: ["HOME=/srv", "NEW=1", "USER=root", "LOGNAME=root", "LANG=C.UTF-8"]))
    #expect(lines.filter { $0.hasPrefix("HOME=") }.count == 1)
    guard getuid() == 0 else { return }
    var nobody = ExecRequest("sh", "-c", "id -u; id -g; id -G; echo $HOME")
    nobody.user = 65534
    let identity = try AgentProgram(kind).run(nobody)
    #expect(identity.text == "65534\n65534\n65534\n/nonexistent\n")
  }

  /// As much as is there, each byte once, however slowly it is taken.
  @Test(arguments: AgentProgram.all) func carriesStreams(_ kind: AgentProgram.Kind) throws {
    let bytes = (0..<1_000_003).map { UInt8(truncatingIfNeeded: $0 * 31 ^ $0 >> 8) }
    let copy = try AgentProgram(kind).run(ExecRequest("cat"), input: bytes)
    let isSame = copy.output == bytes
    #expect(isSame, "\(copy.output.count) bytes of \(bytes.count)")
    #expect(copy.room == bytes.count)
    #expect(copy.code == 0)
    // One that reads nothing holds up neither its end nor what it is told.
    let deaf = try AgentProgram(kind)
    try deaf.send(AgentFrame(.exec, ExecRequest("sleep", "1000").encoded))
    try deaf.send(AgentFrame(.input, Array(repeating: 1, count: AgentProtocol.inputWindow)))
    try deaf.send(AgentFrame(.signal, [15]))
    var ended: AgentFrame?
    while let frame = try deaf.next() { if frame.kind == .ended { ended = frame; break } }
    #expect((ended?.content.first ?? 0) == UInt8(128 + 15))
  }

  /// A program that leaves one behind with its output open has ended all the same.
  @Test(arguments: AgentProgram.all) func doesNotWaitForWhatIsLeft(_ kind: AgentProgram.Kind) throws {
    let outcome = try AgentProgram(kind).run(
      ExecRequest("sh", "-c", "sleep 1000 & echo $!; head -c 300000 /dev/zero | tr '\\0' x"))
    let lines = outcome.text.split(separator: "\n")
    #expect(outcome.code == 0)
    #expect(lines.last?.count == 300_000)
    if let left = lines.first.flatMap({ Int32($0) }), left > 1 { kill(left, SIGKILL) }
  }

  @Test(arguments: AgentProgram.all) func givesATerminal(_ kind: AgentProgram.Kind) throws {
    let agent = try AgentProgram(kind)
    var request = ExecRequest(
      "sh", "-c", "stty size; tty; read line; stty size; echo got $line", options: .terminal)
    (request.columns, request.rows) = (100, 30)
    try agent.send(AgentFrame(.exec, request.encoded))
    var text = ""
    while !text.contains("/dev/pts/"), let frame = try agent.next() {
      if frame.kind == .output { text += String(decoding: frame.content, as: UTF8.self) }
    }
    #expect(text.hasPrefix("30 100\r\n"))
    var size = AgentWriter()
    size.integer(UInt16(120))
    size.integer(UInt16(40))
    try agent.send(AgentFrame(.resize, size.bytes))
    try agent.send(AgentFrame(.input, Array("hello\n".utf8)))
    var code: UInt8?
    while code == nil, let frame = try agent.next() {
      if frame.kind == .output { text += String(decoding: frame.content, as: UTF8.self) }
      if frame.kind == .ended { code = frame.content.first }
    }
    #expect(text.contains("40 120\r\n"))
    #expect(text.contains("got hello\r\n"))
    #expect(code == 0)
  }

  /// Who goes away takes the program with it, unless that was told to stay.
  @Test(arguments: AgentProgram.all) func hangsUp(_ kind: AgentProgram.Kind) throws {
    let agent = try AgentProgram(kind)
    try agent.send(AgentFrame(.exec, ExecRequest("sh", "-c", "echo $$; exec sleep 1000").encoded))
    var text = ""
    while !text.contains("\n"), let frame = try agent.next() {
      if frame.kind == .output { text += String(decoding: frame.content, as: UTF8.self) }
    }
    let process = try #require(Int32(text.split(separator: "\n").first ?? ""))
    try #require(process > 1)
    agent.hangUp()
    var left = 3000
    while kill(process, 0) == 0, left > 0 {
      usleep(20_000)
      left -= 1
    }
    #expect(kill(process, 0) != 0)
  }

  @Test(arguments: AgentProgram.all) func reportsAddresses(_ kind: AgentProgram.Kind) throws {
    let agent = try AgentProgram(kind)
    try agent.send(AgentFrame(.watch))
    // QEMU's user mode does not know all of rtnetlink's words.
    let frame = try #require(try agent.next())
    #expect(frame.kind == .report)
    let report = try GuestReport(decoding: frame.content)
    #expect(report.version == AgentProtocol.version)
    let hostname = try String(contentsOfFile: "/proc/sys/kernel/hostname", encoding: .utf8)
    #expect(String(decoding: report.hostname, as: UTF8.self) == hostname.trimmingCharacters(in: .newlines))
    #expect(report.memory[0] > 1 << 20)
    #expect(report.memory[1] <= report.memory[0])
    #expect(report.processes > 1)
    if kind.emulator == nil {
      let loopback = try #require(report.interfaces.first { $0.name == Array("lo".utf8) })
      #expect(loopback.flags & 8 != 0)
      #expect(loopback.addresses.contains { $0.bytes == [127, 0, 0, 1] && $0.prefix == 8 })
    }
    try agent.send(AgentFrame(.ask))
    #expect(try agent.next()?.kind == .report)
  }

  /// What is no request ends the connection, and nothing else.
  @Test(arguments: AgentProgram.all) func endsAtNonsense(_ kind: AgentProgram.Kind) throws {
    for bytes in [
      [UInt8](repeating: 0xff, count: 100), [1, 0, 0, 0, 0x80], AgentFrame(.exec, [1, 2, 3]).encoded,
      AgentFrame(.setTime, []).encoded, AgentFrame(.input, [1]).encoded,
    ] {
      let agent = try AgentProgram(kind)
      try agent.send(raw: bytes)
      let frame = try agent.next()
      #expect(frame == nil || frame?.kind == .failed)
      #expect(try agent.next() == nil)
    }
  }
}

extension AgentProgram {
  func send(raw bytes: [UInt8]) throws { try bytes.withUnsafeBytes { try inputDescriptor.writeAll($0) } }
}
