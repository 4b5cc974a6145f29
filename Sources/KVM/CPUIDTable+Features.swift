/// Tables from elsewhere: another host's, or a snapshot's.
extension CPUIDTable {
  /// Leaves whose registers are masks of features, and which registers.
  private static let masks: [Mask] = [
    Mask(1, 0, [\.ecx, \.edx]), Mask(7, 0, [\.ebx, \.ecx, \.edx]),
    Mask(7, 1, [\.eax, \.ebx, \.ecx, \.edx]), Mask(7, 2, [\.edx]), Mask(0xD, 0, [\.eax, \.edx]),
    Mask(0xD, 1, [\.eax, \.ecx, \.edx]), Mask(0x4000_0001, 0, [\.eax]),
    Mask(0x8000_0001, 0, [\.ecx, \.edx]), Mask(0x8000_0007, 0, [\.edx]), Mask(0x8000_0008, 0, [\.ebx]),
    Mask(0x8000_0021, 0, [\.eax]),
  ]

  private struct Mask: Sendable {
    typealias Register = WritableKeyPath<Entry, UInt32> & Sendable

    let function: UInt32
    let index: UInt32
    let registers: [any Register]

    init(_ function: UInt32, _ index: UInt32, _ registers: [any Register]) {
      (self.function, self.index, self.registers) = (function, index, registers)
    }
  }

  /// The same table without features that `supported` does not have.
  package func restricted(to supported: CPUIDTable) -> CPUIDTable {
    var table = self
    for mask in Self.masks {
      let limit = supported[mask.function, mask.index] ?? Entry(function: mask.function)
      table.change(mask.function, mask.index) { entry in
        for register in mask.registers { entry[keyPath: register] &= limit[keyPath: register] }
      }
    }
    return table
  }
}
