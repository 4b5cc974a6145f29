internal import Glibc

extension Descriptor {
  /// Reads `count` bytes at a place of a file; fewer come where it ends.
  package func read(_ count: Int, at offset: UInt64) throws(Errno) -> [UInt8] {
    var failure: Errno?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
      do throws(Errno) {
        while done < count {
          let came = try retrying {
            pread(
              raw, buffer.baseAddress.map { $0 + done }, count - done, off_t(clamping: offset + UInt64(done)))
          }
          if came == 0 { break }
          done += came
        }
      } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Writes all of `bytes` at a place of a file.
  package func writeAll(_ bytes: ArraySlice<UInt8>, at offset: UInt64) throws(Errno) {
    var done = 0
    while done < bytes.count {
      done += try retrying {
        bytes.dropFirst(done).withUnsafeBytes {
          pwrite(raw, $0.baseAddress, $0.count, off_t(clamping: offset + UInt64(done)))
        }
      }
    }
  }
}
