internal import Glibc
internal import HostSystem

extension Descriptor {
  /// Opens what a person named to be read; `what` it is stands in the message.
  static func reading(_ path: String, _ what: String) throws(VolaryError) -> Descriptor {
    do { return try Descriptor.open(path, O_RDONLY) } catch {
      throw VolaryError(
        VolaryError.Code(error), "cannot open \(what) \(path): \(error)", wayOut: error.rightsAdvice(path))
    }
  }
}

extension Errno {
  /// The way out where a file was denied.
  func rightsAdvice(_ path: String) -> String? { isDenial ? "see whose it is with 'ls -l \(path)'" : nil }
}
