import Foundation
import Glibc
import HostSystem
import MachineControl

/// Runs machines for the image build: a kernel, a disk that is written in place, and the console's
/// lines.
package struct ControlledMachineRunner: MachineRunner {
  /// Seconds until the guest's first process has to speak.
  private static let bootTimeout = 600

  package init() {}

  package func run(
    _ architecture: GuestArchitecture, kernel: String, initrd: String, append: String, disk: String,
    memory: UInt64, cpus: Int,
    console: @escaping @Sendable (String) -> Void
  ) throws -> Int32 {
    guard let architecture = MachineConfiguration.Architecture(architecture) else {
      throw VolaryError("no engine runs \(architecture.rawValue) guests")
    }
    let plan = RunPlan(
      name: "image build", cpus: cpus, memory: ByteSize(bytes: memory), architecture: architecture,
      engine: .auto,
      files: BootFiles(kernel: kernel, initrd: initrd, disk: nil), jobArchive: nil, reportsJob: true,
      append: append + " console=ttyS0 panic=-1", diskSize: nil, ownDisk: OwnDisk(disk), network: .none,
      publish: [], streams: .lines(console), console: .serial, isVerbose: false,
      bootTimeout: Self.bootTimeout, virtioBus: architecture.usualVirtioBus)
    return try RunSession.run(plan)
  }
}

extension RunSession {
  /// Starts a machine, stays with it to its end, and returns the exit code.
  package static func run(_ plan: RunPlan) throws(VolaryError) -> Int32 {
    // Before anything starts: a signal must find processes that will be ended, and a terminal that
    // will be restored.
    let signals: SignalQueue
    var terminal: Terminal?
    do {
      signals = try SignalQueue([SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT])
      if case .terminal = plan.streams { terminal = try Terminal(fd: 0) }
    } catch {
      throw VolaryError("cannot prepare the terminal: \(error)")
    }
    let engine = try EngineSelection(plan.engine, for: plan.architecture, cpus: plan.cpus)
    var launcher = MachineLauncher(plan, engine)
    let machine = try launcher.launch()
    if let reason = engine.reason, plan.tellsEngine {
      FileHandle.standardError.write(Data("volary: \(plan.name): \(reason)\n".utf8))
    }
    return try RunSession(plan, machine, signals: signals, terminal: terminal).run()
  }
}
