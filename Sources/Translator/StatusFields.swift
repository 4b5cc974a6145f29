/// A guest's status register and what depends on it, where generated code can change it: displacements in the context,
/// and bits.
package struct StatusFields: Sendable {
  /// The status register, 64 bits.
  package var status: Int32
  /// Its bits that can be written, below bit 31.
  package var writable: Int32

  /// The bit that lets interrupts in, and where the context holds those that are pending and those that are let in
  /// one by one.
  package var interruptEnable: UInt8
  package var pending: Int32
  package var enabled: Int32

  /// The bit that permits access to user memory, and where the context holds the views for its two values, 0 while
  /// they have to be looked for.
  package var permitUserMemory: UInt8
  package var viewWithout: Int32
  package var viewWith: Int32

  /// The field that is all ones when the floating-point state has changed, and the bit that says the same then.
  package var floatState: Int32
  package var summary: UInt8
  /// Where the context holds a word that is not zero while blocks depend on that field.
  package var floatMatters: Int32

  /// Bits whose changes the front end makes.
  package var unusual: Int32

  package init(
    status: Int32, writable: Int32, interruptEnable: UInt8, pending: Int32, enabled: Int32,
    permitUserMemory: UInt8,
    viewWithout: Int32, viewWith: Int32, floatState: Int32, summary: UInt8, floatMatters: Int32,
    unusual: Int32
  ) {
    self.status = status
    self.writable = writable
    self.interruptEnable = interruptEnable
    self.pending = pending
    self.enabled = enabled
    self.permitUserMemory = permitUserMemory
    self.viewWithout = viewWithout
    self.viewWith = viewWith
    self.floatState = floatState
    self.summary = summary
    self.floatMatters = floatMatters
    self.unusual = unusual
  }
}
