/// A binary package's name (Debian policy 5.6.7).
package struct DebianPackageName: Hashable, Sendable, CustomStringConvertible {
  package let description: String

  /// Throws `usage` for a text that is no name. What else apt takes in a name's place (patterns, versions,
  /// architectures, a minus that removes) would not be what the image's record says.
  package init(_ text: String) throws(ImageError) {
    let isName =
      text.count >= 2 && text.first != "+" && text.first != "-" && text.first != "." && text.last != "-"
      && text.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || "+-.".contains($0)) }
    guard isName else {
      throw ImageError(.usage, "'\(text)' is no package name: write one such as gcc or libc6-dev")
    }
    description = text
  }
}
