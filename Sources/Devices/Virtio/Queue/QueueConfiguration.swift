package import GuestMemory

/// A queue as the driver describes it, before it lives. The driver may change it at will; nothing
/// here is believed until ``activate(index:maximum:features:memory:resuming:)`` has checked it.
package struct QueueConfiguration: Codable, Equatable, Sendable {
  /// Descriptors the driver wants: at most the device's maximum.
  package var size: UInt32
  /// Guest-physical address of the descriptor table.
  package var descriptorTable: UInt64 = 0
  /// Guest-physical address of the available ring (the driver area).
  package var availableRing: UInt64 = 0
  /// Guest-physical address of the used ring (the device area).
  package var usedRing: UInt64 = 0
  package var isReady = false

  package init(size: UInt32) { self.size = size }

  /// Makes a queue whose geometry cannot change any more, from a description that holds water
  /// (virtio 1.3 §2.7: alignments 16, 2 and 4; all of each area in RAM). A queue that is `resuming` goes
  /// on behind the last request that its used ring shows as completed.
  package func activate(
    index: Int, maximum: UInt16, features: VirtioFeatures, memory: GuestMemory,
    resuming: Bool = false
  ) throws(QueueError) -> LiveQueue {
    guard size > 0, size <= UInt32(maximum), size & (size - 1) == 0 else { throw .badSize(size) }
    let count = Int(size)
    return LiveQueue(
      index: index, size: count, chainLimit: Int(maximum), features: features, memory: memory,
      descriptors: try Self.area(descriptorTable, 16 * count, alignment: 16, memory),
      available: try Self.area(availableRing, 6 + 2 * count, alignment: 2, memory),
      used: try Self.area(usedRing, 6 + 8 * count, alignment: 4, memory), resuming: resuming)
  }

  private static func area(
    _ address: UInt64, _ count: Int, alignment: UInt64, _ memory: GuestMemory
  ) throws(QueueError) -> GuestSlice {
    guard address % alignment == 0 else { throw .misaligned(address: address) }
    do {
      return try memory.slice(at: address, count: count)
    } catch {
      throw .outsideMemory(address: address, count: UInt64(count))
    }
  }
}
