package import Devices
internal import RISCV

/// The supervisor external-interrupt pin of a hart, as the interrupt controller sees it.
final class HartPin: InterruptPin, @unchecked Sendable {  // set once, before anything runs
  private unowned(unsafe) var hart: Hart?

  /// Solders the pin to its hart. The interrupt controller is built first.
  func connect(to hart: Hart) { self.hart = hart }

  func setLevel(_ level: Bool) { hart?.setPending(InterruptBit.external, level) }
}

extension MMIOBus: PhysicalBus {}
