internal import Devices
package import HostSystem
internal import KVM
package import MachineControl
internal import RISCV

extension MachineState {
  /// The kinds of parts that machines of this program have, and in which version.
  package static let kinds: [String: Int] = {
    let devices: [any StatefulDevice.Type] = [
      ACPIPowerManagement.self, CMOSClock.self, FirmwareConfiguration.self, FlashMemory.self,
      GoldfishRTC.self, IOAPIC.self, LPCBridge.self, PCIHostBridge.self, PLIC.self, POSTCodePort.self,
      ResetControlPort.self, UART16550.self, VirtioMMIO.self, VirtioPCITransport.self,
    ]
    let virtio: [any StatefulVirtioDevice.Type] = [
      VirtioBalloon.self, VirtioBlock.self, VirtioConsole.self,
    ]
    var kinds = [
      "address": 1, "nanoseconds": 1, "ticks": 1, Hart.stateKind: Hart.stateVersion,
      KVMProcessor.State.kind: KVMProcessor.State.version,
    ]
    for type in devices { kinds[type.stateKind] = type.stateVersion }
    for type in virtio { kinds[type.stateKind] = type.stateVersion }
    return kinds
  }()

  /// Reads what was kept of a machine and throws unless one of this program's can go on from it, as far as can be told
  /// without one: before another is given up for that.
  package static func examine(_ file: Descriptor, memory: [Descriptor]) throws(ControlFailure) {
    let phase = "examining what was kept"
    let bytes = try MachineController.stateBytes(file)
    do throws(MachineStateError) {
      let state = try MachineState(decoding: bytes)
      for part in state.parts {
        guard let version = kinds[part.kind] else {
          throw .otherVersion(of: "\(part.name) (\(part.kind))", kept: part.version, by: state.program)
        }
        guard part.version == version else {
          throw .otherVersion(of: part.name, kept: part.version, by: state.program)
        }
      }
      for file in memory {
        guard let size = try? file.size(), UInt64(clamping: size) == state.build.memory else {
          throw .damaged("the guest's memory is not whole")
        }
      }
    } catch { throw ControlFailure(.invalidConfiguration, phase: phase, message: error.description) }
  }
}
