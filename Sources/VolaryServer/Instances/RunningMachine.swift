internal import AgentProtocol
internal import HostSystem
internal import MachineControl
internal import VolaryAPI
internal import VolaryHost

/// A machine that runs for an instance, as the daemon holds it.
struct RunningMachine: Sendable {
  let link: MachineLink
  /// The machine's process, as the host knows it.
  let identity: ForeignProcess.Identity?
  /// Nil for one that an earlier daemon started.
  let process: ChildProcess?
  let network: ChildProcess?
  let startedAt: Timestamp
  let architecture: MachineConfiguration.Architecture
  /// Somebody wanted it to stand still.
  var isPaused = false
  /// Disks that wait for room on the host, by their serials, for which it stands still too.
  var fullDisks: [String: Condition] = [:]
  /// Who wanted its end, for the reason that is given.
  var endWanted: EndWanted?
  /// Whether its instance stays even if it is one that goes with its machine.
  var staysAtEnd = false
  /// What went wrong with its disks last.
  var trouble: Condition?
  /// What gets its disks on servers their connections, and what there is to say of those that are without.
  var connector: DiskConnector?
  var lostDisks: [String: Condition] = [:]
  /// Of its disks that are mirrored, what it said last.
  var mirrors: [MirrorStatus] = []
  /// What the guest's agent said last, while there is one.
  var report: GuestReport?
  var reportCount = 0
  /// Where the agent is asked for another.
  var watch: AgentStream.Writer?
  /// What it was started with: virtual CPUs, and bytes.
  var cpus = 1
  var memory: UInt64 = 0
  /// Who waits for its memory to be written: told nil when it is, else why it is not.
  var memoryKept: AsyncStream<String?>.Continuation?
  /// Of its processes; nil where there are none.
  var group: ControlGroup?
  /// Those in effect, and what of them the host cannot hold.
  var limits: MachineLimits?
  var limitsTrouble: Condition?
  /// Why its disk is not as large as it is configured.
  var sizeTrouble: Condition?
  /// Those who wait for its end.
  var waiting: [UInt64: CheckedContinuation<Bool, Never>] = [:]

  /// Whether its CPUs stand still.
  var isFrozen: Bool { isPaused || !fullDisks.isEmpty }

  enum EndWanted: Sendable {
    case stop, kill
    /// It was kept before, for the next start.
    case keep
  }
}
