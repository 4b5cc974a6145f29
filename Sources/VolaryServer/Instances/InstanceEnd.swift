internal import HostSystem
internal import MachineControl
internal import VolaryAPI

/// How machines end, in words.
enum InstanceEnd {
  /// - Parameters:
  ///   - event: the machine's last word; nil when it left none.
  ///   - wanted: whose wish it was.
  ///   - ending: of its process, where it was the daemon's child.
  static func explain(
    _ event: ControlEvent?, wanted: RunningMachine.EndWanted?, _ ending: ChildProcess.Exit?
  ) -> InstanceExit {
    switch (event, wanted) {
    case (.guestPanicked(let message), _): return exit("crashed", "the guest's kernel gave up (\(message))")
    case (.failed(let phase, let message), _):
      return exit("failed", "the machine failed while \(phase): \(message)")
    case (.guestPoweredOff, .kill): return exit("killed", "its power was cut")
    case (.guestPoweredOff, .keep):
      return exit("kept", "its machine was kept, and the next start goes on from there")
    case (.guestPoweredOff, .stop): return exit("stopped", "the guest was asked to end, and did")
    case (.guestPoweredOff(let code), nil):
      return exit("guest-shutdown", "the guest switched itself off" + (code.map { " with code \($0)" } ?? ""))
    case (.guestReset, _): return exit("guest-reset", "the guest restarted and was to end then")
    case (_, .keep): return exit("kept", "its machine was kept, and the next start goes on from there")
    case (_, .kill): return exit("killed", "its power was cut")
    default:
      let how = ending.map { "the machine's process \($0)" } ?? "the machine's process is gone"
      return exit("process-ended", "\(how), without a word of its own")
    }
  }

  /// A machine that was there for an earlier daemon and is not any more.
  static func explainAbsence(_ event: ControlEvent?, hostWasRestarted: Bool) -> InstanceExit {
    if event == nil, hostWasRestarted {
      return exit("host-restarted", "the host was restarted or lost its power")
    }
    let known = explain(event, wanted: nil, nil)
    return exit(known.reason, known.message + "; no daemon was there then")
  }

  private static func exit(_ reason: String, _ message: String) -> InstanceExit {
    InstanceExit(reason: reason, message: message, at: .now)
  }
}
