internal import Assembler

/// The guest's floating-point state while it is in the host's registers: some of the registers, the dynamic
/// rounding mode and the exceptions since the flags were last merged.
///
/// Swift and C run with the host's own mode and may change every SSE register, so all of it moves to the
/// context and back around them.
struct FloatState {
  private let pairs: [(guest: UInt8, host: XMM)]

  /// The host's registers that hold guest registers.
  var hosts: [XMM] { pairs.map(\.host) }

  init(pins: [UInt8]) { pairs = Array(zip(pins, HostRegisters.floatPins)) }

  private func at(_ displacement: Int32) -> Address {
    Address(base: HostRegisters.context, displacement: displacement)
  }

  /// From the context; uses rsi, no exception is noted yet.
  func load(_ assembler: inout X86Assembler) {
    assembler.mov(.w32, .rsi, at(ContextLayout.floatRounding))
    assembler.and(.w32, .rsi, 3)
    assembler.ldmxcsr(
      Address(
        base: HostRegisters.context, index: .rsi, scale: .x4, displacement: FloatConstants.controls))
    for (guest, host) in pairs { assembler.movsd(host, at(ContextLayout.register(guest))) }
  }

  /// To the context; uses rsi. Exceptions make the floating-point state count as changed.
  func store(_ assembler: inout X86Assembler) {
    assembler.stmxcsr(at(FloatConstants.status))
    for (guest, host) in pairs { assembler.movsd(at(ContextLayout.register(guest)), host) }
    assembler.mov(.w32, .rsi, at(FloatConstants.status))
    assembler.ldmxcsr(at(FloatConstants.hostControl))
    let none = assembler.newLabel()
    assembler.and(.w32, .rsi, 0x3D)
    assembler.jumpShort(.e, to: none)
    assembler.movzx(
      .rsi, Address(base: HostRegisters.context, index: .rsi, displacement: FloatConstants.flags), from: .w8)
    assembler.or(.w32, at(ContextLayout.floatFlags), .rsi)
    assembler.mov(.w32, at(ContextLayout.floatTouched), -1)
    assembler.bind(none)
  }
}
