internal import HostSystem

/// Memory of its own, for contents on their way.
final class QCOW2Buffer: @unchecked Sendable {  // owned by one user at a time
  let bytes: UnsafeMutableRawBufferPointer

  /// `count` bytes, zero where asked for.
  init(count: Int, isZero: Bool = false) {
    bytes = .allocate(byteCount: max(count, 1), alignment: 4096)
    if isZero { bytes.initializeMemory(as: UInt8.self, repeating: 0) }
  }

  deinit { bytes.deallocate() }

  subscript(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: bytes[range])
  }
}

extension UnsafeMutableRawBufferPointer {
  func zero() { initializeMemory(as: UInt8.self, repeating: 0) }
}

extension Array where Element == UInt8 {
  /// The number that begins at an index, of which all bytes must be inside.
  func bigEndian<Number: FixedWidthInteger>(_ type: Number.Type, at index: Int) -> Number {
    precondition(index >= 0 && index + MemoryLayout<Number>.size <= count)
    return withUnsafeBytes { Number(bigEndian: $0.loadUnaligned(fromByteOffset: index, as: type)) }
  }
}

extension ImageFile {
  /// Reads bytes that must be inside the file.
  func bytes(at offset: UInt64, count: Int) throws(Errno) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    try bytes.withUnsafeMutableBufferPointer { (buffer) throws(Errno) in
      try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
    }
    return bytes
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
    try bytes.withUnsafeBufferPointer { (buffer) throws(Errno) in
      try write(at: offset, from: UnsafeRawBufferPointer(buffer))
    }
  }

  /// Reads a table of big-endian words that must be inside the file.
  func words(at offset: UInt64, count: Int) throws(Errno) -> [UInt64] {
    var words = [UInt64](repeating: 0, count: count)
    try words.withUnsafeMutableBufferPointer { (buffer) throws(Errno) in
      try read(at: offset, into: UnsafeMutableRawBufferPointer(buffer))
    }
    for index in words.indices { words[index] = UInt64(bigEndian: words[index]) }
    return words
  }

  func write(_ words: ArraySlice<UInt64>, at offset: UInt64) throws(Errno) {
    let swapped = words.map(\.bigEndian)
    try swapped.withUnsafeBufferPointer { (buffer) throws(Errno) in
      try write(at: offset, from: UnsafeRawBufferPointer(buffer))
    }
  }
}
