/// An archive that apt is set up for (sources.list(5)).
package struct AptSource: Equatable, Sendable {
  /// Without the slash at the end that apt allows.
  package let uri: String
  package let suite: String
  package let components: [String]
  /// The keyring file or keys that must have signed it, as written; nil when it is not said.
  package let signedBy: String?

  package init(uri: String, suite: String, components: [String], signedBy: String? = nil) {
    self.uri = uri.hasSuffix("/") ? String(uri.dropLast()) : uri
    self.suite = suite
    self.components = components
    self.signedBy = signedBy
  }

  /// The binary archives of a file in the one-line format: `deb [option=value …] URI suite component…`.
  package static func parseOneLine(_ text: String) -> [AptSource] {
    text.split(separator: "\n").compactMap { line in
      var words = line.prefix { $0 != "#" }.split(whereSeparator: \.isWhitespace)[...]
      guard words.popFirst() == "deb" else { return nil }
      var options: [Substring] = []
      if words.first?.hasPrefix("[") == true {
        guard let end = words.firstIndex(where: { $0.hasSuffix("]") }) else { return nil }
        options = words[...end].joined(separator: " ").dropFirst().dropLast()
          .split(separator: " ").map { $0 }
        words = words[(end + 1)...]
      }
      guard let uri = words.popFirst(), let suite = words.popFirst() else { return nil }
      let signedBy = options.first { $0.hasPrefix("signed-by=") }?.dropFirst("signed-by=".count)
      return AptSource(
        uri: String(uri), suite: String(suite), components: words.map(String.init),
        signedBy: signedBy.map(String.init))
    }
  }

  /// The binary archives of a file in the deb822 format, one for each pair of URI and suite.
  package static func parseDeb822(_ text: String) -> [AptSource] {
    DebianControl.parse(text).flatMap { paragraph -> [AptSource] in
      guard paragraph.words("Types").contains("deb"), !isNo(paragraph["Enabled"]) else { return [] }
      return paragraph.words("URIs").flatMap { uri in
        paragraph.words("Suites").map { suite in
          AptSource(
            uri: uri, suite: suite, components: paragraph.words("Components"),
            signedBy: paragraph["Signed-By"])
        }
      }
    }
  }

  /// What apt takes for no (`StringToBool` in apt).
  private static func isNo(_ text: String?) -> Bool {
    ["no", "false", "without", "off", "disable", "0"].contains(text?.lowercased() ?? "")
  }
}
