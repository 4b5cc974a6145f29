internal import CHost
internal import Glibc
internal import HostSystem
internal import Synchronization

/// Accesses to a file open with O_DIRECT that are no whole sectors of file and memory: through an aligned buffer, one
/// after the other. Formats change tables so, which share no sector with contents, and nothing else writes their
/// sectors meanwhile; contents come in whole sectors.
final class DirectDetour: Sendable {
  private static let sector: UInt64 = 512
  private static let room = 256 << 10

  private let descriptor: Descriptor
  private let buffer: Mutex<Mapping>

  /// Sets O_DIRECT; nil where the file system does not have it, or not for sectors of 512 bytes.
  init?(_ descriptor: Descriptor) throws(Errno) {
    self.descriptor = descriptor
    let mapping = try Mapping.map(size: Self.room)
    buffer = Mutex(mapping)
    let flags = volary_fcntl(descriptor.raw, F_GETFL, 0)
    guard flags >= 0, volary_fcntl(descriptor.raw, F_SETFL, Int(flags | volary_o_direct)) == 0 else {
      return nil
    }
    // A sector at an odd one's address and place.
    if pread(descriptor.raw, mapping.base + 512, 512, 512) < 0 {
      _ = volary_fcntl(descriptor.raw, F_SETFL, Int(flags & ~volary_o_direct))
      return nil
    }
  }

  /// Whether the kernel takes an access as it is.
  static func isAligned(_ offset: UInt64, _ buffer: UnsafeRawBufferPointer) -> Bool {
    let address = UInt64(UInt(bitPattern: buffer.baseAddress))
    return (offset | UInt64(buffer.count) | address) & (sector - 1) == 0
  }

  func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno) {
    try buffer.withLock { (mapping) throws(Errno) in
      var done = 0
      while done < target.count {
        let position = offset &+ UInt64(done)
        let lead = Int(position & (Self.sector - 1))
        let count = min(target.count - done, Self.room - lead)
        guard try fill(mapping, position - UInt64(lead), Self.sectors(lead + count)) >= lead + count else {
          throw .io
        }
        UnsafeMutableRawBufferPointer(rebasing: target[done..<done + count]).copyMemory(
          from: UnsafeRawBufferPointer(start: mapping.base + lead, count: count))
        done += count
      }
    }
  }

  func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno) {
    try buffer.withLock { (mapping) throws(Errno) in
      var done = 0
      while done < source.count {
        let position = offset &+ UInt64(done)
        let lead = Int(position & (Self.sector - 1))
        let count = min(source.count - done, Self.room - lead)
        let whole = Self.sectors(lead + count)
        let start = position - UInt64(lead)
        // What shares the first and the last sector; behind the file's end there are zeroes.
        if lead > 0 || whole > lead + count {
          let held = try fill(mapping, start, whole)
          memset(mapping.base + held, 0, whole - held)
        }
        UnsafeMutableRawBufferPointer(start: mapping.base + lead, count: count).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: source[done..<done + count]))
        var written = 0
        while written < whole {
          written += try retrying {
            pwrite(descriptor.raw, mapping.base + written, whole - written, off_t(start) + off_t(written))
          }
        }
        done += count
      }
    }
  }

  /// Reads whole sectors, as many as the file has; returns how many bytes those were.
  private func fill(_ mapping: borrowing Mapping, _ offset: UInt64, _ count: Int) throws(Errno) -> Int {
    var done = 0
    while done < count {
      let part = try retrying {
        pread(
          descriptor.raw, mapping.base + done, count - done, off_t(truncatingIfNeeded: offset) + off_t(done))
      }
      done += part
      // What is no whole sector is the file's end.
      if part == 0 || part % Int(Self.sector) != 0 { break }
    }
    return done
  }

  private static func sectors(_ bytes: Int) -> Int { (bytes + 511) & ~511 }
}
