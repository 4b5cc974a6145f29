internal import Synchronization

/// The platform-level interrupt controller of RISC-V boards (RISC-V PLIC Specification 1.0).
///
/// Wires from devices come in by ``setInput(_:level:)``, numbered from 1. Each passes a level-triggered
/// gateway: a high level makes the source pending once, and is looked at again when a handler completes
/// it. Contexts (a hart and a privilege mode) claim the sources enabled for them.
///
/// Pins are set while the controller is locked, so that they see levels in order; they must not call back.
package final class PLIC: MMIODevice, InterruptSink {
  /// The privilege mode that takes a context's interrupts; its raw value is the interrupt's number in
  /// the hart (`mcause`, `scause`).
  package enum Mode: UInt32, Sendable {
    case supervisor = 9
    case machine = 11
  }

  /// Who is interrupted.
  package struct Context: Sendable {
    /// The hart's index on the board.
    package let hart: Int
    package let mode: Mode
    package let pin: any InterruptPin

    package init(hart: Int, mode: Mode = .supervisor, pin: any InterruptPin) {
      self.hart = hart
      self.mode = mode
      self.pin = pin
    }
  }

  /// The registers, and what has been told to the pins.
  private struct Guarded {
    var state: State
    var pins: [Bool]
  }

  package let name: String
  package let registerSpace: UInt64
  /// Sources are 1 through this number.
  package let sources: Int
  package let contexts: [Context]
  private let guarded: Mutex<Guarded>

  /// A controller of `sources` inputs (at most 1023). The contexts' numbers are their places in the list.
  package init(
    name: String = "plic", sources: Int = 96, contexts: [Context], registerSpace: UInt64 = 0x60_0000
  ) {
    precondition((1...1023).contains(sources), "a PLIC has 1 to 1023 sources")
    precondition(
      Register.claimBase + UInt64(contexts.count) * Register.claimStride <= registerSpace,
      "the PLIC's contexts do not fit its address space")
    self.name = name
    self.sources = sources
    self.contexts = contexts
    self.registerSpace = registerSpace
    guarded = Mutex(
      Guarded(
        state: State(sources: sources, contexts: contexts.count),
        pins: [Bool](repeating: false, count: contexts.count)))
  }

  /// Forgets priorities, enables and claims. Wires keep their levels: those are their devices'.
  package func reset() {
    guarded.withLock { guarded in
      guarded.state.reset()
      sync(&guarded)
    }
  }

  package func setInput(_ input: Int, level: Bool) {
    precondition((1...sources).contains(input), "PLIC source \(input) does not exist")
    guarded.withLock { guarded in
      if guarded.state.setInput(input, level: level) { sync(&guarded) }
    }
  }

  /// Brings the pins to what the registers say.
  private func sync(_ guarded: inout Guarded) {
    for context in contexts.indices {
      let level = guarded.state.notifies(context)
      guard level != guarded.pins[context] else { continue }
      guarded.pins[context] = level
      contexts[context].pin.setLevel(level)
    }
  }

  // MARK: - Registers

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    let register = try Register(offset: offset, width: width, contexts: contexts.count)
    return guarded.withLock { guarded in
      switch register {
      case .priority(let source): return UInt64(guarded.state.priority(of: source))
      case .pending(let word): return UInt64(guarded.state.pendingWord(word))
      case .enable(let context, let word):
        return UInt64(guarded.state.enableWord(word, of: context))
      case .threshold(let context): return UInt64(guarded.state.thresholds[context])
      case .claim(let context):
        let source = guarded.state.claim(by: context)
        if source != 0 { sync(&guarded) }
        return UInt64(source)
      }
    }
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    let value = UInt32(truncatingIfNeeded: value)
    let register = try Register(offset: offset, width: width, contexts: contexts.count)
    if case .pending = register { throw .forbidden }
    guarded.withLock { guarded in
      switch register {
      case .priority(let source): guarded.state.setPriority(value, of: source)
      case .pending: break
      case .enable(let context, let word): guarded.state.setEnableWord(value, word, of: context)
      case .threshold(let context): guarded.state.setThreshold(value, of: context)
      case .claim(let context):
        // Most completions change no pin.
        guard guarded.state.complete(value, by: context) else { return }
      }
      sync(&guarded)
    }
  }
}

// MARK: - State

extension PLIC: StatefulDevice {
  package static let stateKind = "riscv,plic"
  package static let stateVersion = 1

  package var state: State {
    get { guarded.withLock { $0.state } }
    set {
      guarded.withLock { guarded in
        guarded.state = State(newValue, sources: sources, contexts: contexts.count)
        sync(&guarded)
      }
    }
  }
}

// MARK: - Device tree

extension PLIC {
  /// Adds the controller's node, which takes `phandle`. `hartController` gives the phandle of the
  /// interrupt controller inside a hart.
  package func describe(
    in bus: inout DeviceTree.Node, at base: UInt64, phandle: DeviceTree.PHandle,
    hartController: (Int) -> DeviceTree.PHandle
  ) {
    bus.node(name, at: base) {
      $0.property("compatible", .strings(["sifive,plic-1.0.0", "riscv,plic0"]))
      $0.property("reg", .u64([base, registerSpace]))
      $0.property("#address-cells", .cells([0]))
      $0.property("#interrupt-cells", .cells([1]))
      $0.property("interrupt-controller")
      $0.property("riscv,ndev", .cells([UInt32(sources)]))
      $0.property(
        "interrupts-extended",
        contexts.reduce(.empty) { $0 + .phandle(hartController($1.hart)) + .cells([$1.mode.rawValue]) })
      $0.phandle(phandle)
    }
  }
}
