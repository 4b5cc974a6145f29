internal import HostSystem
internal import Translator

/// A hart's views of memory: a fixed number, given to (address space, privilege) pairs as they come,
/// the least recently used first.
package struct ViewPool {
  static let count = 16

  private struct Slot {
    var translation: UInt64 = 0
    /// Privilege and the status bits that change what is permitted; all ones while unused.
    var mode: UInt64 = .max
    var lastUse: UInt64 = 0
  }

  private let mapping: Mapping
  private var slots = [Slot](repeating: Slot(), count: count)
  private var clock: UInt64 = 0
  let missTarget: UnsafeRawPointer

  init(missTarget: UnsafeRawPointer) throws(Errno) {
    self.missTarget = missTarget
    mapping = try Mapping.map(size: Self.count * AddressView.size)
  }

  private func view(_ index: Int) -> AddressView {
    AddressView(base: mapping.base + index * AddressView.size, missTarget: missTarget)
  }

  /// The view for an address space (satp's value) and mode; if it is new it is empty, and was perhaps
  /// another space's.
  mutating func select(translation: UInt64, mode: UInt64) -> (view: AddressView, isNew: Bool) {
    clock += 1
    var oldest = 0
    for index in 0..<Self.count {
      if slots[index].mode == mode, slots[index].translation == translation {
        slots[index].lastUse = clock
        return (view(index), false)
      }
      if slots[index].lastUse < slots[oldest].lastUse { oldest = index }
    }
    slots[oldest] = Slot(translation: translation, mode: mode, lastUse: clock)
    view(oldest).clear()
    return (view(oldest), true)
  }

  /// The address space identifier in satp's value.
  static func space(of translation: UInt64) -> UInt64 { (translation >> 44) & 0xFFFF }

  func forEach(space: UInt64? = nil, _ body: (AddressView) -> Void) {
    for index in 0..<Self.count where slots[index].mode != .max {
      if let space, Self.space(of: slots[index].translation) != space { continue }
      body(view(index))
    }
  }

  /// Forgets all translations of one address space, or of all.
  mutating func clear(space: UInt64?) { forEach(space: space) { $0.clear() } }
}
