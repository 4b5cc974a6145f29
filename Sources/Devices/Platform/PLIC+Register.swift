extension PLIC {
  /// The chapter "Memory Map". All registers are 32 bits wide.
  enum Register: Equatable {
    /// The priority of a source.
    case priority(source: Int)
    /// The pending bits of 32 sources.
    case pending(word: Int)
    /// A context's enable bits of 32 sources.
    case enable(context: Int, word: Int)
    case threshold(context: Int)
    /// Read to claim, written to complete.
    case claim(context: Int)

    static let pendingBase: UInt64 = 0x1000
    static let enableBase: UInt64 = 0x2000
    static let enableStride: UInt64 = 0x80
    static let claimBase: UInt64 = 0x20_0000
    static let claimStride: UInt64 = 0x1000

    /// The register at a byte offset. The map has 1024 sources whatever the controller has; what does
    /// not exist there reads as zero.
    init(offset: UInt64, width: Int, contexts: Int) throws(BusFault) {
      guard width == 4, offset % 4 == 0 else { throw .badWidth }
      switch offset {
      case Self.claimBase...:
        let (context, register) = (offset - Self.claimBase).quotientAndRemainder(dividingBy: Self.claimStride)
        guard context < UInt64(contexts) else { throw .noRegister }
        switch register {
        case 0: self = .threshold(context: Int(context))
        case 4: self = .claim(context: Int(context))
        default: throw .noRegister
        }
      case Self.enableBase..<Self.claimBase:
        let (context, byte) = (offset - Self.enableBase).quotientAndRemainder(dividingBy: Self.enableStride)
        guard context < UInt64(contexts) else { throw .noRegister }
        self = .enable(context: Int(context), word: Int(byte / 4))
      case Self.pendingBase..<Self.pendingBase + 0x80:
        self = .pending(word: Int((offset - Self.pendingBase) / 4))
      case 0..<Self.pendingBase: self = .priority(source: Int(offset / 4))
      default: throw .noRegister
      }
    }
  }
}
