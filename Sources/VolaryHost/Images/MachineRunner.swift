import Synchronization

/// Runs a machine until its job has ended: what the image build needs of a machine.
package protocol MachineRunner: Sendable {
  /// Boots `kernel`, of an architecture, with `initrd` and the raw `disk` as `/dev/vda`, written to in place, and returns
  /// the job's exit code once the machine has powered itself off.
  ///
  /// - Parameters:
  ///   - append: the kernel's command line; the runner adds `console=` for the console it reads.
  ///   - memory: bytes.
  ///   - console: called with each line of that console, without its end.
  /// - Throws: when the machine cannot be started, or stops without the line `exit N` on
  ///   `GuestPort.control`.
  func run(
    _ architecture: GuestArchitecture, kernel: String, initrd: String, append: String, disk: String,
    memory: UInt64, cpus: Int,
    console: @escaping @Sendable (String) -> Void
  ) throws -> Int32
}

/// The runner that the command line's verbs use, set by the program's start.
package enum MachineRunners {
  private static let current = Mutex<(any MachineRunner)?>(nil)

  package static func use(_ runner: any MachineRunner) { current.withLock { $0 = runner } }

  package static func find() throws(ImageError) -> any MachineRunner {
    guard let runner = current.withLock({ $0 }) else {
      throw ImageError("this program was built without an engine to configure an image with")
    }
    return runner
  }
}
