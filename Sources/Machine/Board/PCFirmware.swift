internal import DiskImages
internal import Glibc
internal import GuestMemory
package import HostSystem

/// UEFI firmware that starts a `pc` board: its code, whose end is at 4 GiB, and below it flash memory with its variables,
/// as in the two files of EDK2's OVMF for QEMU.
package struct PCFirmware: Sendable {
  /// Whole pages, with the code.
  let code: Mapping
  /// Whole blocks of flash memory.
  let variables: Mapping
  /// Where variables are kept beyond the machine's end.
  let file: HostFile?
  /// Gets a line for the person when they cannot be kept.
  private let warn: @Sendable (String) -> Void
  private let failures = FailureLimiter()

  /// Between these addresses and 4 GiB firmware has its place; below, the kernel has some on Intel's processors.
  private static let mostBytes = 16 << 20
  /// What is 40 bytes behind the beginning of each file: the signature of a firmware volume (UEFI Platform
  /// Initialization 1.8, volume 3, 3.2.1).
  private static let signature: (offset: Int, bytes: [UInt8]) = (40, Array("_FVH".utf8))

  /// Reads both files. With `keepsVariables`, what the guest changes is written to the second one, which is locked;
  /// `warn` gets a line when that fails.
  package init(
    code: Descriptor, variables: Descriptor, keepsVariables: Bool, warn: @escaping @Sendable (String) -> Void
  ) throws(BootError) {
    self.warn = warn
    self.code = try Self.read(code, "the firmware")
    self.variables = try Self.read(variables, "the firmware's variables")
    guard self.code.size + self.variables.size <= Self.mostBytes else {
      throw .notFirmware("the firmware", "with its variables it is larger than \(Self.mostBytes >> 20) MiB")
    }
    do throws(DiskImageError) {
      file = keepsVariables ? try HostFile(variables, name: "the firmware's variables", readOnly: false) : nil
    } catch {
      throw .hostRefused("the firmware's variables cannot be kept", "\(error)")
    }
  }

  /// Copies a file: whoever may cut it off or change it cannot do that to the machine.
  private static func read(_ descriptor: Descriptor, _ name: String) throws(BootError) -> Mapping {
    let file = try BootFile(descriptor, name: name)
    let signed = signature.offset..<signature.offset + signature.bytes.count
    guard file.size >= signed.upperBound, try file.bytes(signed) == signature.bytes else {
      throw .notFirmware(name, "it does not begin with a firmware volume")
    }
    guard file.size % GuestMemory.pageSize == 0, file.size <= mostBytes else {
      throw .notFirmware(name, "\(file.size) bytes are not whole pages, 16 MiB at most")
    }
    let memory: Mapping
    do throws(Errno) { memory = try Mapping.map(size: file.size) } catch {
      throw .hostRefused("there is no memory for \(name)", error.description)
    }
    try file.read(from: 0, into: UnsafeMutableRawBufferPointer(start: memory.base, count: memory.size))
    return memory
  }

  /// Where the code and the variables begin.
  var codeAddress: UInt64 { PCMap.UEFI.firmwareEnd - UInt64(code.size) }
  var variablesAddress: UInt64 { codeAddress - UInt64(variables.size) }

  /// Writes what has changed to the file, if there is one, and waits until it is there.
  func keep(_ offset: Int, _ bytes: UnsafeRawBufferPointer) {
    guard let file else { return }
    do throws(Errno) {
      try file.write(at: UInt64(offset), from: bytes)
      try file.sync()
    } catch {
      guard failures.passes(error) else { return }
      warn("the firmware's variables could not be written: \(error); they are lost when the machine ends")
    }
  }
}
