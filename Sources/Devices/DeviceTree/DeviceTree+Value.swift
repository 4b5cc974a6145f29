extension DeviceTree {
  /// A property's value: bytes, whose meaning the property's name decides (section 2.2.4). Numbers are
  /// big-endian. Values are joined with `+`, as `.phandle(plic) + .cells([10])`.
  package struct Value: Equatable, Sendable {
    package let bytes: [UInt8]

    /// No bytes: the property says something by being there.
    package static let empty = Value(bytes: [])

    /// Bytes as they are.
    package static func bytes(_ bytes: [UInt8]) -> Value { Value(bytes: bytes) }

    /// 32-bit numbers, `<u32>` or a part of a `<prop-encoded-array>`.
    package static func cells(_ cells: [UInt32]) -> Value {
      var bytes: [UInt8] = []
      for cell in cells { bytes.append(bigEndian: cell) }
      return Value(bytes: bytes)
    }

    /// 64-bit numbers, each two cells: addresses and sizes where a bus counts two cells for them.
    package static func u64(_ numbers: [UInt64]) -> Value {
      cells(numbers.flatMap { [UInt32(truncatingIfNeeded: $0 >> 32), UInt32(truncatingIfNeeded: $0)] })
    }

    /// A string and its terminating NUL; it should hold no other.
    package static func string(_ string: String) -> Value { strings([string]) }

    /// Strings, each with its NUL, such as `compatible` from the most specific to the most general.
    package static func strings(_ strings: [String]) -> Value {
      Value(bytes: strings.flatMap { Array($0.utf8) + [0] })
    }

    /// A reference to a node.
    package static func phandle(_ phandle: PHandle) -> Value { cells([phandle.rawValue]) }

    package static func + (left: Value, right: Value) -> Value { Value(bytes: left.bytes + right.bytes) }
  }
}

// MARK: - Reading

extension DeviceTree.Value {
  /// The value as 32-bit numbers, or nil when it is no whole number of cells.
  package var cells: [UInt32]? {
    guard bytes.count % 4 == 0 else { return nil }
    return stride(from: 0, to: bytes.count, by: 4).map { start in
      bytes[start..<start + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }
  }

  /// The value as pairs of cells, or nil when it is no whole number of them.
  package var u64: [UInt64]? {
    guard bytes.count % 8 == 0 else { return nil }
    return stride(from: 0, to: bytes.count, by: 8).map { start in
      bytes[start..<start + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
  }

  /// The value as strings, or nil when it is not UTF-8 or the last one has no end.
  package var strings: [String]? {
    guard bytes.last == 0 else { return nil }
    var strings: [String] = []
    for part in bytes.dropLast().split(separator: 0, omittingEmptySubsequences: false) {
      guard let string = String(validating: part, as: UTF8.self) else { return nil }
      strings.append(string)
    }
    return strings
  }

  /// The value as one string, or nil when it is none or several.
  package var string: String? {
    guard let strings, strings.count == 1 else { return nil }
    return strings[0]
  }

  /// The value as a reference to a node, or nil when it is not one cell.
  package var phandle: DeviceTree.PHandle? {
    guard let cells, cells.count == 1 else { return nil }
    return DeviceTree.PHandle(rawValue: cells[0])
  }
}

extension [UInt8] {
  /// Appends a number, most significant byte first.
  mutating func append(bigEndian number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.bigEndian) { append(contentsOf: $0) }
  }
}
