package import HostSystem

/// Why a virtual CPU came back from its run loop. Accesses to buses do not: those are calls to the bus.
package enum KVMExit: Equatable, Sendable {
  /// ``KVMProcessor/kick()`` asked for it. Whoever runs the CPU looks for what there is to do, and runs it again.
  case kicked
  /// The machine is paused; the CPU runs again once it is resumed.
  case paused
  /// HLT, where the kernel plays no local APIC and so knows nothing that could wake the CPU.
  case halted
  /// A triple fault: the CPU has shut down, and on a board that means a reset.
  case shutdown
  /// The CPU is ready for an interrupt, which ``KVMProcessor/wantsInterruptWindow`` asked to be told.
  case interruptWindow
  /// The guest asked KVM itself for something about the whole machine.
  case systemEvent(SystemEvent)
  /// The processor refused the guest's state.
  case failedEntry(reason: UInt64, cpu: UInt32)
  /// KVM could not go on.
  case internalError(InternalError)
  /// A reason that machines of this kind are not set up for (KVM_EXIT_*).
  case unexpected(reason: UInt32)
  /// What the kernel says of the exit makes no sense.
  case malformed(String)
  /// KVM_RUN itself failed.
  case failed(Errno)

  /// KVM_SYSTEM_EVENT_*.
  package enum SystemEvent: Equatable, Sendable {
    case shutdown, reset, crash, wakeUp, suspend
    case other(UInt32)
  }

  /// KVM_EXIT_INTERNAL_ERROR, which every CPU of the machine may meet by what its guest does.
  package struct InternalError: Equatable, Sendable, CustomStringConvertible {
    /// KVM_INTERNAL_ERROR_*.
    package let suberror: UInt32
    /// What KVM adds, at most 16 words.
    package let data: [UInt64]

    package var description: String {
      let words =
        switch suberror {
        case 1: "an instruction could not be emulated"
        case 2: "exceptions came together that cannot"
        case 3: "delivering an event made the guest exit"
        case 4: "the processor gave an unknown reason for an exit"
        default: "error \(suberror)"
        }
      if let bytes = instruction {
        return words + ": " + bytes.map(Self.hexadecimal).joined(separator: " ")
      }
      return data.isEmpty
        ? words : words + ": " + data.map { "0x" + String($0, radix: 16) }.joined(separator: " ")
    }

    /// The bytes at the instruction pointer, which KVM gives for what it cannot emulate.
    package var instruction: [UInt8]? {
      let hasInstruction: UInt64 = 1
      guard suberror == 1, data.count >= 3, data[0] & hasInstruction != 0 else { return nil }
      let bytes = data[1...2].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
      return Array(bytes[1...].prefix(Int(bytes[0])))
    }

    private static func hexadecimal(_ byte: UInt8) -> String {
      (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
  }
}

extension KVMExit: CustomStringConvertible {
  package var description: String {
    switch self {
    case .kicked: "kicked"
    case .paused: "paused"
    case .halted: "halted, with nothing to wake it"
    case .shutdown: "triple fault"
    case .interruptWindow: "ready for an interrupt"
    case .systemEvent(let event): "system event: \(event)"
    case .failedEntry(let reason, let cpu):
      "the processor refused the guest's state (reason 0x\(String(reason, radix: 16)), host CPU \(cpu))"
    case .internalError(let error): "KVM cannot go on: \(error)"
    case .unexpected(let reason): "unexpected exit, reason \(reason)"
    case .malformed(let what): "KVM gave an exit that makes no sense: \(what)"
    case .failed(let error): "KVM_RUN failed: \(error)"
    }
  }
}
