/// Why a compressed stream cannot be decoded.
enum UnpackingError: Error {
  /// The file cannot be read, or its compression is not supported.
  case boot(BootError)
  /// What is wrong with the stream.
  case wrong(String)

  static let endsEarly = Self.wrong("it ends early")
  static func tooLong(_ size: Int) -> Self {
    .wrong("it has more than the \(size) bytes that it should have")
  }
  static func tooShort(_ count: Int, _ size: Int) -> Self {
    .wrong("it has \(count) bytes and should have \(size)")
  }
}
