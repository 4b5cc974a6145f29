internal import CZlib
internal import HostSystem
internal import Synchronization

/// Packs grains by zlib on several threads. What comes out does not depend on how many.
struct GrainPacker {
  /// A grain by its first sector, and its bytes.
  struct Grain: Sendable {
    var sector: UInt64
    var bytes: [UInt8]
  }

  private final class Batch: Sendable {
    let grains: [Grain]
    let next = Atomic<Int>(0)
    let packed: Mutex<[[UInt8]?]>

    init(_ grains: [Grain]) {
      self.grains = grains
      packed = Mutex(Array(repeating: nil, count: grains.count))
    }

    func work() {
      while true {
        let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
        guard index < grains.count else { return }
        let result = GrainPacker.pack(grains[index])
        packed.withLock { $0[index] = result }
      }
    }
  }

  let threads: Int

  init(threads: Int = min(8, max(1, Thread.usableCPUs.count))) { self.threads = threads }

  /// Each grain as it stands in a stream: its sector, the count of bytes that follow, those bytes, and zeroes up
  /// to a whole sector.
  func pack(_ grains: [Grain]) throws(Errno) -> [[UInt8]] {
    let batch = Batch(grains)
    var workers: [Thread] = []
    for _ in 1..<max(1, min(threads, grains.count)) {
      // With fewer it takes longer.
      guard let worker = try? Thread.start(name: "packing", { batch.work() }) else { break }
      workers.append(worker)
    }
    batch.work()
    for worker in workers { worker.join() }
    let packed = batch.packed.withLock { $0.compactMap { $0 } }
    guard packed.count == grains.count else { throw .noMemory }
    return packed
  }

  private static func pack(_ grain: Grain) -> [UInt8]? {
    var length = compressBound(uLong(grain.bytes.count))
    var bytes = [UInt8](repeating: 0, count: (12 + Int(length) + 511) / 512 * 512)
    let status = bytes.withUnsafeMutableBufferPointer { target in
      grain.bytes.withUnsafeBufferPointer {
        compress2(
          target.baseAddress.map { $0 + 12 }, &length, $0.baseAddress, uLong($0.count), Z_DEFAULT_COMPRESSION)
      }
    }
    guard status == Z_OK else { return nil }
    bytes.setLittle(grain.sector, at: 0)
    bytes.setLittle(UInt32(length), at: 8)
    let end = (12 + Int(length) + 511) / 512 * 512
    // zlib may have used what is behind the end.
    for index in 12 + Int(length)..<end { bytes[index] = 0 }
    return Array(bytes[..<end])
  }
}
