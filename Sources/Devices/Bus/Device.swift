/// A piece of a board's hardware. What a device can do it says by conforming to the capability
/// protocols beside this one (``MMIODevice``); the bus and the board find it by them.
///
/// A device is called from any CPU thread and from its own workers, and guards its state itself.
/// State is a plain value; whatever changes it ends in one function that recomputes the interrupt
/// line's level from it.
package protocol Device: AnyObject, Sendable {
  /// The device's name in logs and in the device tree, such as `serial`.
  var name: String { get }

  /// Back to the state after power-on.
  func reset()

  /// Stops the device's workers and waits for requests in flight. Called once, before the end.
  func stop()
}

extension Device {
  package func stop() {}
}

/// Why a register access could not be carried out; the bus logs and absorbs it.
package enum BusFault: Error, Equatable, Sendable {
  /// No device answers at the address.
  case unclaimed
  /// The device has no register there.
  case noRegister
  /// The device does not accept accesses of this width or alignment there.
  case badWidth
  /// The register cannot be read, or cannot be written.
  case forbidden
}

/// A device with memory-mapped registers.
package protocol MMIODevice: Device {
  /// Bytes of address space it decodes.
  var registerSpace: UInt64 { get }

  /// Reads `width` bytes (1, 2, 4 or 8) at a byte offset into the device's space.
  func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64

  /// Writes `width` bytes (1, 2, 4 or 8) at a byte offset into the device's space.
  func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault)
}

/// Where interrupt lines end: an interrupt controller's inputs.
package protocol InterruptSink: AnyObject, Sendable {
  /// Sets an input's level. May be called from any thread, with an unchanged level too.
  func setInput(_ input: Int, level: Bool)
}

/// A level-triggered wire from a device to an interrupt controller. The device does not know which
/// input it is.
package struct InterruptLine: Sendable {
  private let sink: (any InterruptSink)?
  /// The controller's input, for the board's own description of the wiring.
  package let input: Int

  package init(sink: any InterruptSink, input: Int) {
    self.sink = sink
    self.input = input
  }

  private init() {
    sink = nil
    input = 0
  }

  /// A wire that leads nowhere.
  package static let unconnected = InterruptLine()

  package func setLevel(_ level: Bool) { sink?.setInput(input, level: level) }
}

/// Where an interrupt controller's output ends: the external-interrupt pin of one hart and mode.
package protocol InterruptPin: AnyObject, Sendable {
  func setLevel(_ level: Bool)
}
