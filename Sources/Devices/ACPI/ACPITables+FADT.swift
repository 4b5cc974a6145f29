extension ACPITables.Board {
  /// Bits of the field of flags (table 5.10).
  private enum Flag {
    /// WBINVD works, as every CPU has it.
    static let writeBackInvalidate: UInt32 = 1 << 0
    /// All CPUs have the state C1.
    static let haltsEverywhere: UInt32 = 1 << 2
    /// There is no power button, or sleep button, but as an object.
    static let noFixedPowerButton: UInt32 = 1 << 4
    static let noFixedSleepButton: UInt32 = 1 << 5
    /// The clock's alarm is none of ACPI's fixed events.
    static let noFixedClock: UInt32 = 1 << 6
    /// The timer has 32 bits.
    static let wideTimer: UInt32 = 1 << 8
    static let hasResetRegister: UInt32 = 1 << 10
    /// No ACPI fixed hardware: no mode to switch, no event registers, no system control interrupt.
    static let hardwareReduced: UInt32 = 1 << 20
  }

  /// Bits of IAPC_BOOT_ARCH (table 5.11). Without the bit for an 8042, drivers do not look for a keyboard.
  private enum BootFlag {
    static let noVGA: UInt16 = 1 << 2
    static let noPowerStatesOfLinks: UInt16 = 1 << 4
    static let noCMOSClock: UInt16 = 1 << 5
  }

  /// Offsets of the fields that are not zero (table 5.9).
  private enum Field {
    static let dsdt = 40
    static let timerBlock = 76
    static let timerLength = 91
    static let century = 108
    static let bootFlags = 109
    static let flags = 112
    static let resetRegister = 116
    static let minorVersion = 131
    static let extendedDSDT = 140
    static let extendedTimerBlock = 208
    static let sleepControl = 244
    static let sleepStatus = 256
    static let hypervisor = 268
    static let end = 276
  }

  /// Where the FADT has the DSDT's address, in 4 bytes and in 8.
  static let dsdtPointer = Field.dsdt
  static let extendedDSDTPointer = Field.extendedDSDT

  /// The FADT: the registers of power management (section 5.2.9).
  ///
  /// A hardware-reduced board is not to have a power management timer, whose fields are to be ignored. Linux
  /// reads them all the same, and without another clock to compare with it cannot tell the time stamp counter's
  /// frequency; so they are filled in.
  func fixedDescription(dsdt: UInt64) -> ACPITable {
    typealias Register = ACPIPowerManagement.Register
    let register = { (offset: Int, bits: UInt8) in
      ACPIAddress(port: power.base + UInt16(offset), bits: bits).bytes
    }
    var table = ACPITable("FACP", revision: 6)
    table.pad(to: Field.dsdt)
    table.append(UInt32(truncatingIfNeeded: dsdt))
    table.pad(to: Field.timerBlock)
    table.append(UInt32(power.base) + UInt32(Register.timer))
    table.pad(to: Field.timerLength)
    table.append(4 as UInt8)
    table.pad(to: Field.century)
    table.append(clock == nil ? 0 : CMOSClock.centuryRegister)
    table.pad(to: Field.bootFlags)
    table.append(
      BootFlag.noVGA | BootFlag.noPowerStatesOfLinks | (clock == nil ? BootFlag.noCMOSClock : 0))
    table.pad(to: Field.flags)
    table.append(
      Flag.writeBackInvalidate | Flag.haltsEverywhere | Flag.noFixedPowerButton
        | Flag.noFixedSleepButton | Flag.noFixedClock | Flag.wideTimer | Flag.hasResetRegister
        | Flag.hardwareReduced)
    table.pad(to: Field.resetRegister)
    table.append(register(Register.reset, 8) + [ACPIPowerManagement.resetValue])
    table.pad(to: Field.minorVersion)
    table.append(5 as UInt8)
    table.pad(to: Field.extendedDSDT)
    table.append(dsdt)
    table.pad(to: Field.extendedTimerBlock)
    table.append(register(Register.timer, 32))
    table.pad(to: Field.sleepControl)
    table.append(register(Register.sleepControl, 8))
    table.append(register(Register.sleepStatus, 8))
    table.pad(to: Field.hypervisor)
    table.append(Array("Volary\0\0".utf8))
    table.pad(to: Field.end)
    return table
  }
}
