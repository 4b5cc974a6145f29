/// The size of a floating-point scalar.
@usableFromInline package enum Precision: Sendable, CaseIterable {
  case single, double

  /// The mandatory prefix of scalar SSE instructions.
  @inlinable var scalarPrefix: UInt8 { self == .double ? 0xF2 : 0xF3 }
}

/// Scalar floating-point arithmetic with one encoding.
@usableFromInline package enum ScalarOperation: Sendable, CaseIterable {
  case sqrt, add, mul, sub, min, div, max

  /// The second opcode byte.
  @inlinable var opcode: UInt8 {
    switch self {
    case .sqrt: 0x51
    case .add: 0x58
    case .mul: 0x59
    case .sub: 0x5C
    case .min: 0x5D
    case .div: 0x5E
    case .max: 0x5F
    }
  }
}

/// What `cmpsd` and `cmpss` test (Intel SDM volume 2, CMPSD). The raw values are the encoding's.
@usableFromInline package enum ComparePredicate: UInt8, Sendable, CaseIterable {
  case eq, lt, le, unord, neq, nlt, nle, ord
}

/// How `roundsd` and `roundss` round (Intel SDM volume 2, table 4-21). The raw values are the
/// encoding's; `current` is what MXCSR says.
@usableFromInline package enum RoundingMode: UInt8, Sendable, CaseIterable {
  case nearest, down, up, truncate, current
}
