internal import HostSystem
internal import RISCV
internal import Translator

/// What the translator did for a machine, written when the machine has ended.
struct MachineProfile: Sendable {
  let code: CodeStore
  let profile: TranslationProfile
  let board: VirtBoard
  /// Where it is written; nil where only perf(1) is told of generated code.
  let report: Descriptor?

  /// Starts counting. Before the machine runs.
  func start() throws(Errno) {
    for hart in board.cluster.harts { try hart.startProfile(profile) }
  }

  /// Writes the report; the harts have ended. `runningTime` in nanoseconds.
  func write(runningTime: UInt64) throws(Errno) {
    profile.flush()
    guard let report else { return }
    var text = ProfileReport.text(
      code: code, profile: profile, harts: board.cluster.harts, runningTime: runningTime)
    let failure = text.withUTF8 { bytes -> Errno? in
      do throws(Errno) { try report.writeAll(UnsafeRawBufferPointer(bytes)) } catch { return error }
      return nil
    }
    if let failure { throw failure }
  }
}
