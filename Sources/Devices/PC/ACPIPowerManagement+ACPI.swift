extension ACPIPowerManagement: ACPIDescribed {
  /// Adds the event device and the power button. `base` is the first port.
  package func describe(in systemBus: inout AML.Block, at base: UInt64) {
    describe(in: &systemBus, at: base, generationID: false)
  }

  /// As ``describe(in:at:)``, on a board that has or has not a ``VMGenerationID``.
  func describe(in systemBus: inout AML.Block, at base: UInt64, generationID: Bool) {
    let events = UInt16(truncatingIfNeeded: base) + UInt16(Register.events)
    systemBus.device("PWRB") { $0.name("_HID", .eisaID("PNP0C0C")) }
    systemBus.device("GED") {
      $0.name("_HID", "ACPI0013")
      $0.name("_UID", 0)
      // A level, so that an event is not lost that comes before the driver does.
      $0.name("_CRS", .resources([.interrupt(interrupt.input, .level)]))
      $0.ports("EREG", events..<events + 1, fields: [("ESTS", bytes: 1)])
      $0.method("_EVT", arguments: 1, isSerialized: true) {
        $0.store(.named("ESTS"), in: .local(0))
        $0.if(.and(.local(0), .integer(UInt64(Events.powerButton.rawValue)))) {
          $0.notify("\\_SB.PWRB", 0x80)
        }
        guard generationID else { return }
        $0.if(.and(.local(0), .integer(UInt64(Events.generationChanged.rawValue)))) {
          $0.notify("\\_SB.VGEN", 0x80)
        }
      }
    }
  }

  /// The object outside all scopes that says how to sleep (section 7.4.2): S5 alone, soft off.
  func describeSleepStates(in block: inout AML.Block) {
    let type = AML.Term.integer(UInt64(Self.softOff))
    block.name("_S5", .package([type, type, 0, 0]))
  }
}
