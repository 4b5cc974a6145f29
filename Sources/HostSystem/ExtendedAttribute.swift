internal import CHost

/// What somebody noted beside a file (xattr(7)).
package enum ExtendedAttribute {
  /// The value, up to 256 bytes; nil where there is none, or it may not be read.
  package static func value(_ name: String, of path: String) -> [UInt8]? {
    var value = [UInt8](repeating: 0, count: 256)
    let length = value.withUnsafeMutableBytes { volary_getxattr(path, name, $0.baseAddress, $0.count) }
    return length < 0 ? nil : Array(value.prefix(length))
  }
}
