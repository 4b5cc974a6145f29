internal import HostSystem
internal import Synchronization

/// The file under an image, with its size in mind: what a table names behind the end of the last cluster reads as
/// zero, and what was never written there needs no zeroes.
final class QCOW2File: Sendable {
  let file: any ImageFile
  private let end: Atomic<UInt64>

  init(_ file: any ImageFile) throws(Errno) {
    self.file = file
    end = Atomic(try file.size())
  }

  /// Bytes that the file has at least.
  var size: UInt64 { end.load(ordering: .acquiring) }

  /// Reads; behind the file's end there are zeroes.
  func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    let held = Int(min(UInt64(buffer.count), size - min(offset, size)))
    if held == buffer.count { return try file.read(at: offset, into: buffer) }
    if held > 0 { try file.read(at: offset, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<held])) }
    UnsafeMutableRawBufferPointer(rebasing: buffer[held...]).zero()
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try growing(to: offset + UInt64(buffer.count)) { () throws(Errno) in
      try file.write(at: offset, from: buffer)
    }
  }

  func write(_ bytes: [UInt8], at offset: UInt64) throws(Errno) {
    try growing(to: offset + UInt64(bytes.count)) { () throws(Errno) in try file.write(bytes, at: offset) }
  }

  func write(_ words: ArraySlice<UInt64>, at offset: UInt64) throws(Errno) {
    try growing(to: offset + UInt64(words.count * 8)) { () throws(Errno) in try file.write(words, at: offset)
    }
  }

  private func growing(to offset: UInt64, _ write: () throws(Errno) -> Void) throws(Errno) {
    do {
      try write()
    } catch {
      // A part may have been written, behind what was the end too: that is not fresh any more.
      if let size = try? file.size() { grown(to: size) }
      throw error
    }
    grown(to: offset)
  }

  /// Makes a range read as zero, wherever the file ends.
  func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {
    let inside = min(count, size - min(offset, size))
    try file.writeZeroes(at: offset, count: inside, mayUnmap: mayUnmap)
  }

  /// Writes zeroes, so that the file reaches to the end of the range.
  func fillWithZeroes(at offset: UInt64, count: UInt64) throws(Errno) {
    let zeroes = QCOW2Buffer(count: Int(min(count, 256 << 10)), isZero: true)
    var done: UInt64 = 0
    while done < count {
      let step = min(count - done, UInt64(zeroes.bytes.count))
      try write(at: offset + done, from: UnsafeRawBufferPointer(zeroes[0..<Int(step)]))
      done += step
    }
  }

  /// Gives a range back to the host where it can; what it then reads is not said.
  func release(_ range: Range<UInt64>) {
    let range = range.clamped(to: 0..<size)
    if !range.isEmpty {
      _ = try? file.deallocate(at: range.lowerBound, count: range.upperBound - range.lowerBound)
    }
  }

  func sync() throws(Errno) { try file.sync() }

  func grown(to offset: UInt64) { end.max(offset, ordering: .acquiringAndReleasing) }
}
