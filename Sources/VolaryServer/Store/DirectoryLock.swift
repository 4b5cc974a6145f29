internal import Glibc
internal import HostSystem

/// The right to write a data directory, held by one daemon at a time and gone with its process however it
/// ends. The file names the holder for those who come later.
package final class DirectoryLock: Sendable {
  private let file: Descriptor

  package init(directory: String) throws(StoreError) {
    let path = directory + "/volaryd.lock"
    do throws(Errno) {
      file = try Descriptor.open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode: 0o600)
    } catch { throw .unusable(path: path, problem: error.description) }
    do throws(Errno) {
      try file.lock(exclusive: true)
    } catch {
      guard error.isOfAnotherLock else {
        throw .unusable(path: path, problem: error.description)
      }
      throw .inUse(directory: directory, pid: Self.holder(file))
    }
    do throws(Errno) {
      try file.truncate(to: 0)
      try Self.write("\(getpid())\n", to: file)
    } catch { throw .unusable(path: path, problem: error.description) }
  }

  private static func write(_ text: String, to file: Descriptor) throws(Errno) {
    let bytes = Array(text.utf8)
    do {
      try bytes.withUnsafeBytes { try file.writeAll($0) }
    } catch let error as Errno { throw error } catch { throw .io }
  }

  private static func holder(_ file: Descriptor) -> String? {
    var bytes = [UInt8](repeating: 0, count: 32)
    let count = bytes.withUnsafeMutableBytes { buffer in (try? file.read(into: buffer)) ?? 0 }
    let digits = bytes.prefix(count).prefix { (48...57).contains($0) }
    return digits.isEmpty ? nil : String(decoding: digits, as: UTF8.self)
  }
}
