import Glibc
import HostSystem

/// Files without a name, in the folder for temporary files: they are gone when the last process that
/// has them open ends, however it ends.
enum ScratchFile {
  /// `$TMPDIR`, or /var/tmp: a disk's changes may be larger than memory, where /tmp often lies.
  static var folder: String {
    if let chosen = getenv("TMPDIR") { return String(cString: chosen) }
    return "/var/tmp"
  }

  static func make() throws(VolaryError) -> Descriptor {
    var template = Array("\(folder)/volary.XXXXXX".utf8CString)
    let fd = mkstemp(&template)
    if fd < 0 {
      throw VolaryError(
        Errno(errno).isDenial ? .denied : .failed,
        "cannot make a temporary file in \(folder): \(Errno(errno))",
        wayOut: "set TMPDIR to a folder with room that you may write")
    }
    unlink(template)
    return Descriptor(owning: fd)
  }
}
