internal import GuestMemory
internal import Synchronization
internal import Translator

/// The supervisor's calls into the machine (RISC-V SBI Specification 2.0).
extension Hart {
  private enum Register {
    static let a0 = 10
    static let a1 = 11
    static let a6 = 16
    static let a7 = 17
  }

  /// What a call is given: a0 to a4.
  private typealias Arguments = InlineArray<5, UInt64>

  /// Answers the call in a7 and a6: an error code in a0, a value in a1.
  func callSBI() {
    let registers = context.registers
    let arguments = Arguments { registers[Register.a0 + $0] }
    let function = registers[Register.a6]
    do throws(SBI.Failure) {
      let value =
        switch registers[Register.a7] {
        case SBI.Extension.base: try callBase(function, arguments)
        case SBI.Extension.timer: try callTimer(function, arguments)
        case SBI.Extension.interprocessorInterrupt: try callInterprocessorInterrupt(function, arguments)
        case SBI.Extension.remoteFence: try callRemoteFence(function, arguments)
        case SBI.Extension.hartState: try callHartState(function, arguments)
        case SBI.Extension.systemReset: try callSystemReset(function, arguments)
        case SBI.Extension.debugConsole: try callDebugConsole(function, arguments)
        default: throw SBI.Failure.notSupported
        }
      registers[Register.a0] = 0
      registers[Register.a1] = value
    } catch {
      registers[Register.a0] = UInt64(bitPattern: error.rawValue)
      registers[Register.a1] = 0
    }
  }

  /// Chapter 4. Vendor, architecture and implementation identifiers of the hart are zero.
  private func callBase(_ function: UInt64, _ arguments: Arguments) throws(SBI.Failure) -> UInt64 {
    switch function {
    case 0: SBI.specificationVersion
    case 1: SBI.implementation
    case 2: SBI.implementationVersion
    case 3: SBI.Extension.all.contains(arguments[0]) ? 1 : 0
    case 4, 5, 6: 0
    default: throw .notSupported
    }
  }

  /// Chapter 6.
  private func callTimer(_ function: UInt64, _ arguments: Arguments) throws(SBI.Failure) -> UInt64 {
    guard function == 0 else { throw .notSupported }
    setTimer(arguments[0])
    return 0
  }

  /// The harts that a call is for.
  private func chosen(_ arguments: Arguments) throws(SBI.Failure) -> HartMask {
    try HartMask(mask: arguments[0], base: arguments[1], hartCount: cluster.harts.count)
  }

  /// Chapter 7.
  private func callInterprocessorInterrupt(
    _ function: UInt64, _ arguments: Arguments
  ) throws(SBI.Failure) -> UInt64 {
    guard function == 0 else { throw .notSupported }
    let harts = try chosen(arguments)
    for hart in cluster.harts where harts.contains(hart.id) { hart.setPending(InterruptBit.software, true) }
    return 0
  }

  /// Chapter 8. FENCE.I needs only that the harts look at their requests; address-space numbers
  /// narrow what is forgotten.
  private func callRemoteFence(_ function: UInt64, _ arguments: Arguments) throws(SBI.Failure) -> UInt64 {
    let harts = try chosen(arguments)
    let start = arguments[2]
    let size = arguments[3]
    let wholeSpace = (start == 0 && size == 0) || size == .max
    let pages: UInt64? = wholeSpace ? nil : max(1, ((start & 0xFFF) &+ size &+ 4095) >> 12)
    let request: HartRequest
    switch function {
    case 0: request = .fence(address: 0, pages: 0, space: nil)
    case 1: request = .fence(address: start, pages: pages, space: nil)
    case 2: request = .fence(address: start, pages: pages, space: arguments[4] & 0xFFFF)
    default: throw .notSupported
    }
    cluster.broadcast(request, to: { harts.contains($0) }, from: self)
    return 0
  }

  /// Chapter 9.
  private func callHartState(_ function: UInt64, _ arguments: Arguments) throws(SBI.Failure) -> UInt64 {
    let harts = cluster.harts
    switch function {
    case 0:
      guard arguments[0] < UInt64(harts.count) else { throw .invalidParameter }
      guard memory.host(of: arguments[1], count: 2) != nil else { throw .invalidAddress }
      let target = harts[Int(arguments[0])]
      let wasStopped = target.lifecycle.withLock {
        guard $0 == .stopped else { return false }
        $0 = .startPending(address: arguments[1], argument: arguments[2])
        return true
      }
      guard wasStopped else { throw .alreadyAvailable }
      target.kick()
      return 0
    case 1:
      lifecycle.withLock { $0 = .stopped }
      kick()
      return 0
    case 2:
      guard arguments[0] < UInt64(harts.count) else { throw .invalidParameter }
      return harts[Int(arguments[0])].lifecycle.withLock {
        switch $0 {
        case .started: 0
        case .stopped: 1
        case .startPending: 2
        }
      }
    case 3:
      // Only the default retentive suspend, which is WFI.
      guard arguments[0] == 0 else { throw .invalidParameter }
      waitForInterrupt()
      return 0
    default: throw .notSupported
    }
  }

  /// Chapter 10.
  private func callSystemReset(_ function: UInt64, _ arguments: Arguments) throws(SBI.Failure) -> UInt64 {
    guard function == 0 else { throw .notSupported }
    guard arguments[0] <= 2, arguments[1] <= 1 else { throw .invalidParameter }
    cluster.setHalted(true)
    cluster.delegate?.guestRequested(
      arguments[0] == 0 ? .powerOff(failed: arguments[1] == 1) : .reset)
    return 0
  }

  /// Chapter 12. Input is not offered: reading gives no bytes.
  private func callDebugConsole(_ function: UInt64, _ arguments: Arguments) throws(SBI.Failure) -> UInt64 {
    switch function {
    case 0:
      let count = min(arguments[0], 4096)
      guard arguments[2] == 0, let bytes = memory.host(of: arguments[1], count: Int(count)) else {
        throw .invalidParameter
      }
      cluster.delegate?.debugConsoleWrite(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
      return count
    case 1: return 0
    case 2:
      var byte = UInt8(truncatingIfNeeded: arguments[0])
      withUnsafeBytes(of: &byte) { cluster.delegate?.debugConsoleWrite($0) }
      return 0
    default: throw .notSupported
    }
  }
}
