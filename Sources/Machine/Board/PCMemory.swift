/// How the RAM of the `pc` board lies in the guest's addresses.
package struct PCMemory: Sendable {
  /// What `GuestMemory` is made of: addresses and bytes.
  package var regions: [(base: UInt64, size: Int)]
  /// What the guest is told, in ascending order.
  package var map: [MemoryMapEntry]
}
