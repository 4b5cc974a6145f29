package import HostSystem
internal import Glibc

/// Memory for generated code: the same pages mapped twice, once to write and once to execute, so that no page is
/// ever both. Made before the sandbox closes; its size never changes.
///
/// It is memory without a name: what runs in a named file perf(1) does not look up in its map (``PerfMap``).
package final class CodeArena: @unchecked Sendable {  // immutable; writers hold the code store's lock
  /// Bytes in all.
  package let size: Int
  /// The mapping that is written through.
  package let writable: UnsafeMutableRawPointer
  /// The same bytes where they are executed.
  package let executable: UnsafeRawPointer
  private let writableMapping: Mapping
  private let executableMapping: Mapping

  /// Throws `Errno` when the host refuses memory or executable mappings.
  package init(size: Int) throws(Errno) {
    self.size = size
    writableMapping = try Mapping.shared(size: size)
    executableMapping = try writableMapping.again(protection: PROT_READ | PROT_EXEC)
    writable = writableMapping.base
    executable = UnsafeRawPointer(executableMapping.base)
  }

  /// Lets go of the writable view of `range`, whose bytes stay: they are seldom written again, and would
  /// count twice in what the process uses.
  package func release(_ range: Range<Int>) { writableMapping.release(range) }

  /// Gives the host back the memory behind `range`, which reads as zeroes from then on.
  package func discard(_ range: Range<Int>) { writableMapping.discard(range) }
}
