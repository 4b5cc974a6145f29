internal import Foundation
internal import Glibc
internal import VolaryHost

/// A text that a person changes in an editor, or that comes from standard input where that is no terminal.
enum TextEditing {
  /// Has `text` changed, and calls `take` with what came of it. With a terminal, a change that cannot be taken may be
  /// mended; one that changes nothing is not taken.
  static func edit(_ text: String, name: String, _ take: (String) throws -> Void) throws {
    guard isatty(STDIN_FILENO) == 1 else {
      let data = try FileHandle.standardInput.readToEnd() ?? Data()
      return try take(String(decoding: data, as: UTF8.self))
    }
    let folder = FileManager.default.temporaryDirectory.appending(path: "volary-edit-\(UUID().uuidString)")
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    defer { try? FileManager.default.removeItem(at: folder) }
    let file = folder.appending(path: "\(name).yaml")
    try Data(text.utf8).write(to: file)
    while true {
      try runEditor(on: file.path(percentEncoded: false))
      let changed = String(decoding: try Data(contentsOf: file), as: UTF8.self)
      if changed == text { return }
      do { return try take(changed) } catch {
        let words = (error as? VolaryError)?.report ?? "volary: \(error)"
        let question = words + "\nEnter to edit again, Ctrl-C to leave it as it was. "
        FileHandle.standardError.write(Data(question.utf8))
        guard readLine() != nil else { throw error }
      }
    }
  }

  private static func runEditor(on path: String) throws {
    let environment = ProcessInfo.processInfo.environment
    let editor = [environment["VISUAL"], environment["EDITOR"]].compactMap { $0 }.first { !$0.isEmpty }
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    // The variable may hold words for the editor too.
    process.arguments = ["-c", "exec \(editor ?? "vi") \"$1\"", "sh", path]
    try process.run()
    process.waitUntilExit()
    if process.terminationStatus != 0 {
      throw VolaryError(
        "the editor ended with \(process.terminationStatus)", wayOut: "EDITOR names the one to use")
    }
  }
}
