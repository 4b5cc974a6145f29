package import Foundation
internal import VolaryPage

/// The terminal of the page's console, xterm.js: not ours, so not within the program. `make build` takes it from
/// Debian's package `node-xterm` and puts it where it is looked for; a package of the host's own is found too.
package struct TerminalParts: Sendable {
  /// One of its files: the name below `/ui/`, and its place in Debian's package.
  package struct Part: Sendable {
    package let name: String
    package let type: String
    let packaged: String
  }

  package static let parts = [
    Part(name: "xterm.js", type: PageFile.MediaType.script, packaged: "xterm/lib/xterm.js"),
    Part(name: "xterm.css", type: PageFile.MediaType.style, packaged: "xterm/css/xterm.css"),
    Part(
      name: "xterm-addon-fit.js", type: PageFile.MediaType.script,
      packaged: "xterm-addon-fit/lib/xterm-addon-fit.js"),
    Part(
      name: "xterm-addon-canvas.js", type: PageFile.MediaType.script,
      packaged: "xterm-addon-canvas/lib/xterm-addon-canvas.js"),
  ]

  /// Where the parts lie by their own names.
  private let folders: [String]
  /// Where Debian's package puts them.
  private let packages: String

  package init(folders: [String] = Self.usualFolders, packages: String = "/usr/share/nodejs") {
    self.folders = folders
    self.packages = packages
  }

  /// Beside the program, and where distributions have it.
  package static var usualFolders: [String] {
    let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let prefix = ((program as NSString).deletingLastPathComponent as NSString).deletingLastPathComponent
    return ["\(prefix)/share/volary/page", "/usr/share/volary/page"]
  }

  /// The contents of a part, looked for each time, so that one that is installed meanwhile is found; nil when it is
  /// not there. Blocks.
  package func read(_ part: Part) -> Data? {
    let places = folders.map { "\($0)/\(part.name)" } + ["\(packages)/\(part.packaged)"]
    for place in places {
      if let data = FileManager.default.contents(atPath: place), !data.isEmpty { return data }
    }
    return nil
  }
}
