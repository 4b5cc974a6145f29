/// The tables as files for firmware that puts them where it likes and mends what depends on that: the commands that QEMU's
/// boards give their firmware, as EDK2 and SeaBIOS carry them out (EDK2, OvmfPkg/Include/IndustryStandard/QemuLoader.h).
extension ACPITables {
  /// The files that firmware looks for: the tables, and what is to be done with them.
  package static let fileName = "etc/acpi/tables"
  package static let commandsName = "etc/table-loader"

  /// Bytes of a command without its number, and what a command of each kind begins with.
  private static let commandSize = 124
  private enum Command {
    static let allocate: UInt32 = 1
    static let addPointer: UInt32 = 2
    static let addChecksum: UInt32 = 3
  }

  /// Has firmware put the tables, which were built for address 0, in memory below 4 GiB, and mend what depends on where
  /// that is.
  package var loaderCommands: [UInt8] {
    let file = FirmwareConfiguration.nameField(Self.fileName)
    // Anywhere, at a multiple of a page.
    var bytes = Self.command(Command.allocate, file + UInt32(4096).littleEndianBytes + [1])
    for pointer in pointers {
      bytes += Self.command(
        Command.addPointer, file + file + UInt32(pointer.offset).littleEndianBytes + [UInt8(pointer.size)])
    }
    for checksum in checksums {
      let numbers = [checksum.offset, checksum.range.lowerBound, checksum.range.count]
      bytes += Self.command(
        Command.addChecksum, file + numbers.flatMap { UInt32($0).littleEndianBytes })
    }
    return bytes
  }

  /// The tables as the file has them: a checksum is made by summing up all bytes, its own among them.
  package var loaderFile: [UInt8] {
    var file = bytes
    for checksum in checksums { file[checksum.offset] = 0 }
    return file
  }

  private static func command(_ number: UInt32, _ operands: [UInt8]) -> [UInt8] {
    number.littleEndianBytes + operands + [UInt8](repeating: 0, count: commandSize - operands.count)
  }
}
