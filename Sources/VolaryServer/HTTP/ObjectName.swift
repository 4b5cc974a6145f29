internal import VolaryAPI

/// Names that people give to projects, profiles and storage pools.
enum ObjectName {
  /// Throws for what is no name; `kind` is what it would name.
  static func check(_ name: String, of kind: String) throws(APIError) {
    let isName = name.unicodeScalars.allSatisfy {
      $0.isASCII
        && ($0.properties.isAlphabetic || ("0"..."9").contains($0) || "-_.".unicodeScalars.contains($0))
    }
    guard isName, (1...63).contains(name.utf8.count),
      name.first?.isLetter == true || name.first?.isNumber == true
    else {
      throw .invalid("the name of a \(kind) has 1 to 63 letters, digits, - _ or . and begins with no sign")
    }
  }
}
