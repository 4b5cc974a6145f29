internal import Synchronization

/// The device by which QEMU's boards tell their firmware what they are (QEMU, docs/specs/fw_cfg.rst): numbered items,
/// and files that one of them lists, read byte by byte through two ports. Firmware that is made for QEMU asks here how
/// much memory there is and for ACPI's tables, and goes without what it does not find.
package final class FirmwareConfiguration: PortDevice {
  package static let base: UInt16 = 0x510

  /// A file: its name, of at most 55 bytes, and its bytes, which are asked for whenever they are selected.
  package struct File: Sendable {
    package let name: String
    package let content: @Sendable () -> [UInt8]

    package init(_ name: String, content: @escaping @Sendable () -> [UInt8]) {
      precondition(name.utf8.count < FirmwareConfiguration.nameSize, "the name does not fit the directory")
      self.name = name
      self.content = content
    }
  }

  /// Numbers of items.
  private enum Item {
    static let signature: UInt16 = 0x00
    static let version: UInt16 = 0x01
    static let processors: UInt16 = 0x05
    static let mostProcessors: UInt16 = 0x0F
    static let directory: UInt16 = 0x19
    static let firstFile: UInt16 = 0x20
    /// Asks to write the item, which firmware no longer does by ports.
    static let write: UInt16 = 0x4000
  }

  /// Offsets from the first port: of the item's number, 16 bits, and of its next byte.
  private enum Register {
    static let selector = 0
    static let data = 1
  }

  /// Bytes of a name in the directory.
  private static let nameSize = 56

  package struct State: Codable, Equatable, Sendable {
    /// The bytes of the item that is selected.
    package var content: [UInt8] = []
    /// The next of them to be read.
    package var place = 0

    package init(content: [UInt8] = [], place: Int = 0) {
      self.content = content
      self.place = place
    }
  }

  package let name: String
  package let portCount = 2
  private let processors: Int
  private let files: [File]
  private let guarded = Mutex(State())

  /// `processors` are the board's CPUs.
  package init(name: String = "firmware-configuration", processors: Int, files: [File]) {
    self.name = name
    self.processors = processors
    self.files = files
  }

  package func reset() { guarded.withLock { $0 = State() } }

  package func readPort(offset: Int, width: Int) throws(BusFault) -> UInt32 {
    guard offset == Register.data else { throw .forbidden }
    guard width == 1 else { throw .badWidth }
    return guarded.withLock { state in
      guard state.place < state.content.count else { return 0 }
      defer { state.place += 1 }
      return UInt32(state.content[state.place])
    }
  }

  package func writePort(offset: Int, width: Int, value: UInt32) throws(BusFault) {
    guard offset == Register.selector else { throw .forbidden }
    guard width == 2 else { throw .badWidth }
    let content = item(UInt16(truncatingIfNeeded: value) & ~Item.write)
    guarded.withLock { $0 = State(content: content) }
  }

  /// An item's bytes; none of one that there is not.
  private func item(_ number: UInt16) -> [UInt8] {
    switch number {
    case Item.signature: return Array("QEMU".utf8)
    // Items and files by ports; no transfers into memory.
    case Item.version: return UInt32(1).littleEndianBytes
    case Item.processors, Item.mostProcessors: return UInt16(clamping: processors).littleEndianBytes
    case Item.directory: return directory
    default:
      let index = Int(number) - Int(Item.firstFile)
      return files.indices.contains(index) ? files[index].content() : []
    }
  }

  /// A file's name as it stands in lists: in a field of one size, zeroes behind it.
  static func nameField(_ name: String) -> [UInt8] {
    let bytes = Array(name.utf8)
    return bytes + [UInt8](repeating: 0, count: nameSize - bytes.count)
  }

  /// The list of files: their number, and of each its size, its item and its name; numbers with the high byte first.
  private var directory: [UInt8] {
    var bytes = UInt32(files.count).bigEndianBytes
    for (index, file) in files.enumerated() {
      bytes += UInt32(file.content().count).bigEndianBytes
      bytes += (Item.firstFile + UInt16(index)).bigEndianBytes + [0, 0]
      bytes += Self.nameField(file.name)
    }
    return bytes
  }
}

extension FirmwareConfiguration: StatefulDevice {
  package static let stateKind = "fw-cfg"
  package static let stateVersion = 1

  package var state: State {
    get { guarded.withLock { $0 } }
    set {
      let place = min(max(newValue.place, 0), newValue.content.count)
      guarded.withLock { $0 = State(content: newValue.content, place: place) }
    }
  }
}

extension FixedWidthInteger {
  fileprivate var bigEndianBytes: [UInt8] { littleEndianBytes.reversed() }
}
