import Foundation
package import HostSystem
internal import KVM
package import MachineControl

/// What is to execute a machine's guest code on this host.
package struct EngineSelection {
  package let engine: MachineConfiguration.Engine
  /// /dev/kvm, opened, for a machine that it runs.
  package let device: Descriptor?
  /// What was chosen and why, in a line, where the choice was left to Volary.
  package let reason: String?

  /// Chooses for a machine of `cpus` CPUs that runs guests of `architecture`. KVM is measured before it is chosen,
  /// and taken as it is when it was asked for.
  ///
  /// Throws with the way out where nothing on this host can run such guests.
  package init(
    _ wanted: MachineConfiguration.Engine, for architecture: MachineConfiguration.Architecture, cpus: Int,
    path: String = KVMSystem.path
  ) throws(VolaryError) {
    guard architecture.engines.contains(wanted) else {
      throw VolaryError(
        .usage, "\(ConfigurationError.engineCannotRun(engine: wanted, architecture: architecture))")
    }
    guard architecture == .amd64 else {
      engine = wanted
      device = nil
      reason =
        wanted == .auto
        ? "engine \(architecture.usualEngine): \(architecture) guests run on it on every host" : nil
      return
    }
    let system: KVMSystem
    do throws(KVMError) { system = try KVMSystem(path: path) } catch {
      throw Self.failure(error, architecture)
    }
    guard cpus <= system.mostCPUs else {
      throw VolaryError(
        .usage, "--cpus \(cpus): this host's KVM gives a machine \(system.mostCPUs) at most")
    }
    engine = .kvm
    device = system.device
    guard wanted == .auto else {
      reason = nil
      return
    }
    let mips: Double
    do throws(KVMError) { mips = try KVMProbe.measure(system) } catch {
      throw Self.failure(error, architecture)
    }
    guard mips >= KVMProbe.usefulMIPS else {
      throw VolaryError(
        "\(architecture) guests need KVM, and \(path) is not hardware: it carries out \(Self.figure(mips)), "
          + "so that no stock kernel would finish booting",
        wayOut: "'--engine kvm' tries all the same")
    }
    reason = "engine kvm: \(path) is real, it carries out \(Self.figure(mips))"
  }

  private static func failure(
    _ error: KVMError, _ architecture: MachineConfiguration.Architecture
  ) -> VolaryError {
    var code = VolaryError.Code.failed
    var wayOut: String?
    switch error {
    case .denied(_, let group):
      code = .denied
      wayOut = group.map { "'sudo adduser \(NSUserName()) \($0)' makes you one, from the next login on" }
    case .missing: wayOut = "switch virtualization on in the host's firmware, or load the module"
    default: break
    }
    return VolaryError(code, "\(architecture) guests need KVM: \(error)", wayOut: wayOut)
  }

  /// A speed in words.
  package static func figure(_ mips: Double) -> String {
    let figure = mips < 10 ? "\((mips * 10).rounded() / 10)" : "\(Int(mips.rounded()))"
    return "\(figure) million instructions a second"
  }
}
