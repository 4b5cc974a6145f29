/// The harts that an SBI call names: those of a mask, counted from a base on; with a base of all ones all of them
/// (RISC-V SBI Specification 2.0, chapter 3.1).
struct HartMask {
  private let mask: UInt64
  private let base: UInt64

  /// Throws `.invalidParameter` when one of them is not there.
  init(mask: UInt64, base: UInt64, hartCount: Int) throws(SBI.Failure) {
    let count = UInt64(hartCount)
    guard mask == 0 || base == .max || (base < count && UInt64(63 - mask.leadingZeroBitCount) < count - base)
    else { throw .invalidParameter }
    self.mask = mask
    self.base = base
  }

  func contains(_ id: Int) -> Bool {
    if base == .max { return true }
    let place = UInt64(id) &- base
    return place < 64 && mask >> place & 1 != 0
  }
}
