internal import Foundation
internal import Glibc
package import HostSystem

/// UEFI firmware for machines that start from a disk: EDK2's OVMF in two files, as distributions have it.
package struct FirmwareFiles: Equatable {
  /// What runs.
  package var code: String
  /// The variables that a new machine has.
  package var variables: String
  /// Where variables are kept: they are made there when the file is missing. Nil forgets them with the machine.
  package var kept: String?

  /// Where Debian, Fedora and Arch have the code.
  private static let places = [
    "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_CODE.fd",
    "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
  ]

  /// The code of this host's, if it has any.
  package static var code: String? { places.first { FileManager.default.fileExists(atPath: $0) } }

  /// The firmware whose code is in a file, or else this host's. The variables are beside it, in a file with VARS for
  /// CODE in its name. Whoever has no firmware may be able to do something else.
  package init(
    code named: String?, kept: String?,
    otherWay: String = ", or name a file with --firmware, or a kernel with --kernel"
  ) throws(VolaryError) {
    guard let code = named ?? Self.code else {
      throw VolaryError(
        .notFound, "there is no UEFI firmware to start the disk: \(Self.places[0]) is missing",
        wayOut: "'sudo apt-get install ovmf'\(otherWay)")
    }
    let url = URL(fileURLWithPath: code)
    let name = url.lastPathComponent
    let variables = name.replacingOccurrences(of: "CODE", with: "VARS")
    guard variables != name else {
      throw VolaryError(
        .usage,
        "--firmware \(code): its variables are looked for beside it, in a file with VARS for CODE in its name",
        wayOut: "give it both names, such as OVMF_CODE.fd and OVMF_VARS.fd")
    }
    self.code = code
    self.variables = url.deletingLastPathComponent().appendingPathComponent(variables).path
    self.kept = kept
  }

  // MARK: - Opening

  package func openCode() throws(VolaryError) -> Descriptor { try .reading(code, "the firmware") }

  /// The file that variables are kept in, locked, after making it if there is none; without one, those of a new machine.
  package func openVariables() throws(VolaryError) -> Descriptor {
    let template = try Descriptor.reading(variables, "the firmware's variables")
    guard let path = kept else { return template }
    let file: Descriptor
    do {
      file = try Descriptor.open(path, O_RDWR | O_CREAT, mode: 0o600)
    } catch { throw Self.cannotKeep(path, error) }
    do { try file.lock(exclusive: true) } catch {
      throw VolaryError(.conflict, "the variables in \(path) are in use by another machine (\(error))")
    }
    do { if try file.size() == 0 { try file.copyContent(of: template) } } catch {
      // Half a file would be refused the next time.
      try? file.truncate(to: 0)
      throw Self.cannotKeep(path, error)
    }
    return file
  }

  private static func cannotKeep(_ path: String, _ error: Errno) -> VolaryError {
    VolaryError(
      VolaryError.Code(error), "cannot keep the firmware's variables in \(path): \(error)",
      wayOut: error.rightsAdvice(path))
  }
}
