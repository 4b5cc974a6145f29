import Foundation
import Glibc
import HostSystem
import Testing

/// The agent's SFTP with OpenSSH's client at the other end.
@Suite(.enabled(if: access("/usr/bin/sftp", X_OK) == 0)) struct AgentFileTests {
  private static func sftp(_ kind: AgentProgram.Kind, _ commands: [String]) throws -> (
    code: Int32, text: String
  ) {
    let folder = NSTemporaryDirectory() + "volary-agent-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let (batch, said) = ("\(folder)/batch", "\(folder)/said")
    try (commands.joined(separator: "\n") + "\n").write(toFile: batch, atomically: true, encoding: .utf8)
    let output = try Descriptor.open(said, O_WRONLY | O_CREAT)
    let process = try ChildProcess(
      path: "/usr/bin/sftp",
      arguments: ["sftp", "-b", batch, "-D", (kind.command + ["--files"]).joined(separator: " ")],
      descriptors: [try Descriptor.open("/dev/null", O_RDONLY), output, output], outlivesStarter: true)
    let exit = process.wait(milliseconds: 120_000)
    process.terminate()
    guard case .code(let code)? = exit else { return (-1, "it did not end") }
    return (code, (try? String(contentsOfFile: said, encoding: .utf8)) ?? "")
  }

  @Test(arguments: AgentProgram.all) func carriesFiles(_ kind: AgentProgram.Kind) throws {
    let folder = NSTemporaryDirectory() + "volary-agent-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: "\(folder)/in/sub", withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let bytes = Data((0..<3_000_001).map { UInt8(truncatingIfNeeded: $0 * 7 ^ $0 >> 9) })
    try bytes.write(to: URL(fileURLWithPath: "\(folder)/in/big"))
    try Data("small".utf8).write(to: URL(fileURLWithPath: "\(folder)/in/sub/small"))
    let there = "\(folder)/there"
    let (code, text) = try Self.sftp(
      kind,
      [
        "mkdir \(there)", "put -r \(folder)/in/* \(there)", "rename \(there)/big \(there)/bigger",
        "ln -s bigger \(there)/link", "ln \(there)/bigger \(there)/hard", "chmod 2750 \(there)/bigger",
        "ls -l \(there)", "get -r \(there) \(folder)/back", "df \(there)", "pwd",
      ])
    #expect(code == 0, "\(text)")
    #expect(try Data(contentsOf: URL(fileURLWithPath: "\(folder)/back/bigger")) == bytes)
    #expect(try String(contentsOfFile: "\(folder)/back/sub/small", encoding: .utf8) == "small")
    #expect(try FileManager.default.destinationOfSymbolicLink(atPath: "\(there)/link") == "bigger")
    let attributes = try FileManager.default.attributesOfItem(atPath: "\(there)/bigger")
    #expect(attributes[.posixPermissions] as? Int == 0o2750)
    #expect(attributes[.referenceCount] as? Int == 2)
    #expect(text.contains("-rwxr-x---") && text.contains("3000001"), "\(text)")
    #expect(text.contains("Remote working directory: /"))
  }

  @Test(arguments: AgentProgram.all) func refusesAsTheKernelDoes(_ kind: AgentProgram.Kind) throws {
    let folder = NSTemporaryDirectory() + "volary-agent-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: "\(folder)/full", withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try Data("x".utf8).write(to: URL(fileURLWithPath: "\(folder)/full/x"))
    for (command, word) in [
      ("get \(folder)/none /dev/null", "not found"), ("rmdir \(folder)/full", "Failure"),
      ("mkdir \(folder)/full", "Failure"), ("rename \(folder)/none \(folder)/other", "No such file"),
      ("rm \(folder)/full", "Failure"), ("cd \(folder)/full/x", "Can't change directory"),
    ] {
      let (code, text) = try Self.sftp(kind, [command])
      #expect(code == 1, "\(command): \(text)")
      #expect(text.localizedCaseInsensitiveContains(word), "\(command): \(text)")
    }
    #expect(FileManager.default.fileExists(atPath: "\(folder)/full/x"))
  }
}
