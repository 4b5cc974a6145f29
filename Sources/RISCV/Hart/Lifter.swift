internal import GuestMemory
package import Translator

/// Decodes RISC-V code into blocks for the translator.
package final class Lifter: BlockLifter {
  /// Guest registers worth a host register, by how often compiled code names them: a5 a4 a0 sp a3 a1
  /// a2 s0 s1 ra.
  /// Of the floating-point file: fa5 to fa0, ft0 to ft3, fs0 to fs2.
  package static let architecture = GuestArchitecture(
    pins: [15, 14, 10, 2, 13, 11, 12, 8, 9, 1],
    floatPins: [15, 14, 13, 12, 11, 10, 0, 1, 2, 3, 8, 9, 18].map { 32 + $0 },
    linkRegisters: [1, 5], controlFields: ControlField.allCases.map(\.place),
    status: StatusFields(
      status: ControlField.status.place, writable: Int32(Status.writable),
      interruptEnable: UInt8(Status.interruptEnable.trailingZeroBitCount),
      pending: HartState.pendingPlace, enabled: HartState.place(\.interruptEnable),
      permitUserMemory: UInt8(Status.permitUserMemory.trailingZeroBitCount),
      viewWithout: ViewPool.place(ofMode: ViewPool.Mode.supervisor),
      viewWith: ViewPool.place(ofMode: ViewPool.Mode.supervisor | ViewPool.Mode.permitsUser),
      floatState: Int32(Status.floatState), summary: UInt8(Status.someDirty.trailingZeroBitCount),
      floatMatters: HartState.supervisorFloatPlace, unusual: Int32(Status.makeExecutableReadable)))

  /// Control registers that generated code reaches as they are.
  private enum ControlField: UInt8, CaseIterable {
    case scratch, exceptionPC, cause, trapValue, status

    var place: Int32 {
      switch self {
      case .scratch: HartState.place(\.scratch)
      case .exceptionPC: HartState.place(\.exceptionPC)
      case .cause: HartState.place(\.cause)
      case .trapValue: HartState.place(\.trapValue)
      case .status: HartState.place(\.status)
      }
    }
  }

  let decoded = DecodeCache()

  package init() {}

  package func lift(
    pc: UInt64, page: UnsafeRawPointer, key: UInt64,
    into buffer: UnsafeMutablePointer<Instruction>,
    room: Int
  ) -> Int {
    var offset = Int(pc & 0xFFF)
    var count = 0
    while count < room, offset < 4096 {
      var bits = UInt32(UInt16(littleEndian: page.load(fromByteOffset: offset, as: UInt16.self)))
      if bits & 3 == 3 {
        // The rest of the last instruction is on another page: the interpreter takes it.
        guard offset + 4 <= 4096 else { break }
        bits |= UInt32(UInt16(littleEndian: page.load(fromByteOffset: offset + 2, as: UInt16.self))) << 16
      }
      let instruction = instruction(bits, key: key)
      buffer[count] = instruction
      count += 1
      offset += Int(instruction.length)
      switch instruction.operation {
      case .jump, .jumpIndirect, .illegal: return count
      case .system: if !SystemOperation.goesOn(instruction) { return count }
      default: break
      }
    }
    return count
  }

  /// What an encoding is in a block under a key, which the mode is part of.
  @inline(__always)
  func instruction(_ bits: UInt32, key keyAndMode: UInt64) -> Instruction {
    let key = keyAndMode & BlockKeyBit.usesFloat
    let entry = decoded.entry(bits)
    let instruction = entry.pointee.instruction
    if key == BlockKey.floatOff {
      if entry.pointee.usesFloat {
        return Instruction(.illegal, length: instruction.length, imm: Int64(bits))
      }
      if keyAndMode & BlockKey.supervisor != 0, instruction.operation == .system {
        return Self.supervisorControl(instruction) ?? instruction
      }
    } else if instruction.operation == .system {
      return Self.floatControl(instruction) ?? instruction
    }
    return instruction
  }

  /// What an access to a floating-point control register is when floating point is on, if the translator knows
  /// a way to do it.
  private static func floatControl(_ i: Instruction) -> Instruction? {
    let operation: Operation
    switch (SystemOperation(rawValue: i.info), UInt16(truncatingIfNeeded: i.imm)) {
    case (.csrReadSet, CSR.fflags) where i.a == 0: operation = .floatReadFlags
    case (.csrReadSet, CSR.frm) where i.a == 0: operation = .floatReadRounding
    case (.csrReadWrite, CSR.fflags): operation = .floatExchangeFlags
    default: return nil
    }
    return Instruction(operation, destination: i.destination, a: i.a, length: i.length)
  }
}

extension Lifter {
  /// What an access to one of the supervisor's registers is, if generated code can make it. The rest of the
  /// instruction stays, for the cases in which it cannot.
  private static func supervisorControl(_ i: Instruction) -> Instruction? {
    guard let system = SystemOperation(rawValue: i.info) else { return nil }
    var control = i
    switch UInt16(truncatingIfNeeded: i.imm) {
    case CSR.sscratch: control.c = ControlField.scratch.rawValue
    case CSR.sepc:
      control.c = ControlField.exceptionPC.rawValue
      control.b = 1
    case CSR.scause: control.c = ControlField.cause.rawValue
    case CSR.stval: control.c = ControlField.trapValue.rawValue
    case CSR.sstatus:
      let bit = UInt8(Status.interruptEnable)
      switch system {
      case .csrReadSet where i.a == 0:
        control.c = ControlField.status.rawValue
        control.operation = .controlRead
      case .csrReadClearImmediate where i.a == bit: control.operation = .interruptsOff
      case .csrReadSetImmediate where i.a == bit && i.destination == 0: control.operation = .interruptsOn
      case .csrReadSet where i.destination == 0: control.operation = .interruptsRestore
      case .csrReadWrite: control.operation = .statusExchange
      case .csrReadSet: control.operation = .statusSet
      case .csrReadClear where i.a != 0: control.operation = .statusClear
      default: return nil
      }
      return control
    default: return nil
    }
    switch system {
    case .csrReadSet where i.a == 0: control.operation = .controlRead
    case .csrReadWrite: control.operation = .controlExchange
    default: return nil
    }
    return control
  }
}

/// What translated code depends on beside its bytes and address.
enum BlockKey {
  /// Floating-point instructions are illegal, or at least make the hart look at ``Hart/floatCredit``.
  static let floatOff: UInt64 = 0
  static let floatOn: UInt64 = BlockKeyBit.usesFloat
  /// No block's: floating point is on with a rounding mode that the host does not have, so that everything is
  /// interpreted.
  static let untranslated: UInt64 = 2
  /// Not part of the key: the mode of code that supervisor mode runs.
  static let supervisor: UInt64 = 4
}
