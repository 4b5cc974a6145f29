extension AML {
  /// An entry of a resource template: what a device decodes, uses, or hands on to a bus (ACPI 6.5 section 6.4).
  package struct Resource: Equatable, Sendable {
    let bytes: [UInt8]

    /// What follows the last entry; a checksum of zero stands for none (section 6.4.2.9).
    static let end: [UInt8] = [0x79, 0x00]

    /// How an interrupt is signalled. Wires that are shared by devices are level-triggered.
    package enum Trigger: Sendable {
      case edge
      case level
      case sharedLevel
    }

    /// Which addresses a bridge hands on.
    private enum AddressSpace {
      static let memory: UInt8 = 0
      static let busNumbers: UInt8 = 2
    }

    /// The flags of address spaces: the first and the last address are fixed; memory can be written.
    private static let isFixed: UInt8 = 0x0C
    private static let isConsumer: UInt8 = 0x01
    private static let isWritable: UInt8 = 0x01

    /// I/O ports that the device decodes (section 6.4.2.5).
    package static func ports(_ first: UInt16, count: UInt8) -> Resource {
      let place = first.littleEndianBytes
      return Resource(bytes: [0x47, 0x01] + place + place + [0x01, count])
    }

    /// A global system interrupt that is active when high (section 6.4.3.6).
    package static func interrupt(_ number: Int, _ trigger: Trigger) -> Resource {
      let flags: UInt8 =
        switch trigger {
        case .edge: 0x03
        case .level: 0x01
        case .sharedLevel: 0x09
        }
      return Resource(bytes: large(0x89, [flags, 1] + UInt32(number).littleEndianBytes))
    }

    /// Memory addresses that the device decodes (sections 6.4.3.4 and 6.4.3.5.1).
    package static func memory(_ addresses: Range<UInt64>) -> Resource {
      let size = addresses.upperBound - addresses.lowerBound
      guard addresses.upperBound <= 1 << 32, let size = UInt32(exactly: size) else {
        return space(0x8A, AddressSpace.memory, isConsumer, addresses, as: UInt64.self)
      }
      return Resource(
        bytes: large(
          0x86, [isWritable] + UInt32(addresses.lowerBound).littleEndianBytes + size.littleEndianBytes))
    }

    /// A window of a bridge: the same addresses before and behind it (section 6.4.3.5).
    package static func window(_ addresses: Range<UInt64>) -> Resource {
      addresses.upperBound <= 1 << 32
        ? space(0x87, AddressSpace.memory, 0, addresses, as: UInt32.self)
        : space(0x8A, AddressSpace.memory, 0, addresses, as: UInt64.self)
    }

    /// The numbers of the buses behind a bridge (section 6.4.3.5.3).
    package static func buses(_ numbers: Range<UInt64>) -> Resource {
      space(0x88, AddressSpace.busNumbers, 0, numbers, as: UInt16.self)
    }

    private static func large(_ type: UInt8, _ content: [UInt8]) -> [UInt8] {
      [type] + UInt16(content.count).littleEndianBytes + content
    }

    /// An address space descriptor: flags, then granularity, first, last, translation and length.
    private static func space<Number: FixedWidthInteger>(
      _ type: UInt8, _ kind: UInt8, _ flags: UInt8, _ range: Range<UInt64>, as: Number.Type
    ) -> Resource {
      let specific = kind == AddressSpace.memory ? isWritable : 0
      let numbers = [0, range.lowerBound, range.upperBound - 1, 0, range.upperBound - range.lowerBound]
      return Resource(
        bytes: large(
          type,
          [kind, isFixed | flags, specific] + numbers.flatMap { Number($0).littleEndianBytes }))
    }
  }
}
