import DiskImages
import Glibc
import HostSystem
import Synchronization

/// Reads or writes a disk image without a guest and says how long it took, as `qemu-img bench` does: Benchmarks/disk.
///
///     volary-disk-load FORMAT FILE none|writeback read|write BLOCK STEP COUNT THREADS
///
/// Each request is STEP bytes behind the one before, around the disk's end; THREADS carry them out, each one at a time.
/// Prints seconds.
let words = CommandLine.arguments
guard words.count == 9, let format = DiskFormat(rawValue: words[1]), let block = Int(words[5]),
  let step = UInt64(words[6]), let count = Int(words[7]), let threads = Int(words[8]), block > 0
else {
  print("usage: volary-disk-load FORMAT FILE none|writeback read|write BLOCK STEP COUNT THREADS")
  exit(2)
}
let writes = words[4] == "write"

do {
  let image = try DiskImages.open(
    format: format, descriptor: try Descriptor.open(words[2], writes ? O_RDWR : O_RDONLY), name: words[2],
    readOnly: !writes, caching: words[3] == "none" ? .direct : .usual)
  let next = Atomic<Int>(0)
  let failure = Mutex<Errno?>(nil)
  let room = image.size - UInt64(block)
  let started = monotonicNanoseconds()
  let workers = try (0..<threads).map { number in
    try Thread.start(name: "load \(number)") {
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: block, alignment: 4096)
      defer { buffer.deallocate() }
      for place in buffer.indices { buffer[place] = UInt8(truncatingIfNeeded: place &* 7 &+ number) }
      while true {
        let request = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard request < count, failure.withLock({ $0 == nil }) else { return }
        let offset = UInt64(request) &* step % room / 512 * 512
        do throws(Errno) {
          if writes {
            try image.write(at: offset, from: UnsafeRawBufferPointer(buffer))
          } else {
            try image.read(at: offset, into: buffer)
          }
        } catch {
          failure.withLock { $0 = error }
          return
        }
      }
    }
  }
  for worker in workers { worker.join() }
  let ended = monotonicNanoseconds()
  if let error = failure.withLock({ $0 }) { throw error }
  print(Double(ended - started) / 1e9)
} catch {
  print("volary-disk-load: \(error)")
  exit(1)
}
