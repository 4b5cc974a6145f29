/// What the store needs to know of a guest architecture.
package struct GuestArchitecture: Sendable {
  /// Guest registers that deserve a host register, the most used first.
  package var pins: [UInt8]
  /// The same for floating-point registers. They are in host registers only in blocks that use floating
  /// point: those whose key has ``BlockKeyBit/usesFloat``.
  package var floatPins: [UInt8]
  /// Registers that calls leave the return address in: a jump that links to one is a call, a jump to one that
  /// links to none is a return.
  package var linkRegisters: [UInt8]
  /// Displacements in the context of the control registers that are plain fields, 64 bits each.
  package var controlFields: [Int32]
  /// The status register and what depends on it, when there is such a thing.
  package var status: StatusFields?
  /// Instructions in a block at most.
  package var blockLimit: Int

  package init(
    pins: [UInt8], floatPins: [UInt8] = [], linkRegisters: [UInt8] = [], controlFields: [Int32] = [],
    status: StatusFields? = nil, blockLimit: Int = 96
  ) {
    self.controlFields = controlFields
    self.status = status
    self.linkRegisters = linkRegisters
    self.pins = pins
    self.floatPins = floatPins
    self.blockLimit = blockLimit
  }
}
