/// An image's alias, such as `debian/13`: words of `a-z 0-9 . -`, joined by slashes.
package struct ImageName: Hashable, Comparable, Sendable, CustomStringConvertible {
  package let description: String

  /// Throws `usage` for a text that is no name; the words become part of file names.
  package init(_ text: String) throws(ImageError) {
    let words = text.split(separator: "/", omittingEmptySubsequences: false)
    let isName = words.allSatisfy { word in
      !word.isEmpty && word.first != "." && word.first != "-"
        && word.allSatisfy { $0.isASCII && ($0.isLowercase || $0.isNumber || $0 == "." || $0 == "-") }
    }
    guard isName, text.count <= 100 else {
      throw ImageError(
        .usage,
        "'\(text)' is no image name: use words of a-z, 0-9, '.' and '-', joined by '/', such as debian/13")
    }
    description = text
  }

  /// The folder of this image for `architecture`; names hold no underscore, so no two share one.
  package func folderName(_ architecture: GuestArchitecture) -> String {
    description.split(separator: "/").joined(separator: "_") + "_" + architecture.rawValue
  }

  package static func < (a: ImageName, b: ImageName) -> Bool { a.description < b.description }
}
