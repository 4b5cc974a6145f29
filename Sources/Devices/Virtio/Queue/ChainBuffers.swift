internal import GuestMemory

/// A chain's buffers as they are collected: readable ones first, then writable ones.
struct ChainBuffers {
  private let memory: GuestMemory
  private var readable: [GuestSlice] = []
  private var writable: [GuestSlice] = []
  private var sawWritable = false
  private var readableCount = 0
  private var writableCount = 0

  init(memory: GuestMemory) { self.memory = memory }

  mutating func append(_ descriptor: SplitDescriptor) throws(QueueError) {
    let count = Int(descriptor.count)
    guard readableCount + writableCount + count <= Int(UInt32.max) else { throw .bufferTooLarge }
    if descriptor.isWritable {
      sawWritable = true
      writableCount += count
      try append(descriptor.address, count, to: &writable)
    } else {
      guard !sawWritable else { throw .readableAfterWritable }
      readableCount += count
      try append(descriptor.address, count, to: &readable)
    }
  }

  /// Adds a slice, as a part of the one before when it continues it: fewer, larger parts make fewer,
  /// larger system calls. Empty buffers vanish.
  private func append(_ address: UInt64, _ count: Int, to slices: inout [GuestSlice]) throws(QueueError) {
    do {
      let slice = try memory.slice(at: address, count: count)
      if count == 0 { return }
      if let last = slices.last, last.address &+ UInt64(last.count) == address,
        let joined = try? memory.slice(at: last.address, count: last.count + count)
      {
        slices[slices.count - 1] = joined
      } else {
        // Most have two: data, and a word about it.
        if slices.isEmpty { slices.reserveCapacity(2) }
        slices.append(slice)
      }
    } catch {
      throw .outsideMemory(address: address, count: UInt64(count))
    }
  }

  func chain(head: UInt16) -> Chain {
    Chain(
      head: head, reader: ChainReader(readable, count: readableCount),
      writer: ChainWriter(writable, count: writableCount))
  }
}
