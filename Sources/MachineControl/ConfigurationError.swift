/// What is wrong with a ``MachineConfiguration``: one thing, said so that a person can mend it.
package enum ConfigurationError: Error, Equatable, Sendable {
  case emptyName
  case nameTooLong
  case cpuCount(Int, most: Int)
  case memorySize(UInt64)
  case appendTooLong(bytes: Int, most: Int)
  case appendHoldsNull
  case tooMany(String, most: Int)
  case noSuchDescriptor(what: String, index: Int, count: Int)
  case descriptorUsedTwice(what: String, index: Int)
  case diskSize(disk: Int, bytes: UInt64)
  case overlayWithoutBase(disk: Int)
  case rawDiskWithLayers(disk: Int)
  /// A disk on a server has layers, or is an overlay.
  case serverDiskWithLayers(disk: Int)
  /// The export's name is longer than the protocol admits, or has a zero in it.
  case exportName(disk: Int)
  /// Only the lowest layer may be raw, and none an overlay.
  case layerFormat(disk: Int, layer: Int)
  case readOnlyOverlay(disk: Int)
  /// A checkpoint that keeps memory and not what the CPUs and devices make of it.
  case memoryWithoutState
  /// A machine to be restored has no memory, or too many files of it.
  case memoryLayers(Int, most: Int)
  /// Sides of a mirrored disk that make no pair, or one that cannot be written.
  case mirror(disk: Int)
  case diskSerial(disk: Int)
  case hardwareAddress
  case guestAddress(UInt32)
  /// /dev/vhost-net was handed over without a TAP device, or for a board that it cannot serve.
  case vhostWithoutUse
  case portName(Int)
  case portNameTwice(String)
  case entropySeedTooLong(Int)
  case engineCannotRun(engine: MachineConfiguration.Engine, architecture: MachineConfiguration.Architecture)
  case firmware(architecture: MachineConfiguration.Architecture)
  /// /dev/kvm is needed for guests of the architecture and was not handed over, or the other way round.
  case device(isNeeded: Bool, architecture: MachineConfiguration.Architecture)
}

extension ConfigurationError: CustomStringConvertible {
  package var description: String {
    switch self {
    case .emptyName: "the machine has no name"
    case .nameTooLong: "the machine's name is longer than \(MachineConfiguration.Limits.name) bytes"
    case .cpuCount(let count, let most): "\(count) CPUs: a machine has 1 to \(most)"
    case .memorySize(let bytes):
      "\(bytes) bytes of memory: a machine has 64 MiB to 1 TiB, in whole MiB"
    case .appendTooLong(let bytes, let most):
      "the kernel command line has \(bytes) bytes; \(most) are the most"
    case .appendHoldsNull: "the kernel command line holds a zero byte"
    case .tooMany(let what, let most): "too many \(what): \(most) are the most"
    case .noSuchDescriptor(let what, let index, let count):
      "\(what) names descriptor \(index), and \(count) were handed over"
    case .descriptorUsedTwice(let what, let index):
      "\(what) names descriptor \(index), which something else uses"
    case .diskSize(let disk, let bytes):
      "disk \(disk) has \(bytes) bytes: a disk has whole sectors of 512 bytes, at least one"
    case .overlayWithoutBase(let disk): "disk \(disk) is an overlay, which stands on one raw layer"
    case .rawDiskWithLayers(let disk): "disk \(disk) is raw and has layers, which no raw disk shows"
    case .serverDiskWithLayers(let disk):
      "disk \(disk) is on a server, and stands by itself: it is raw or qcow2, without layers"
    case .exportName(let disk): "no export can have the name of disk \(disk)'s"
    case .layerFormat(let disk, let layer):
      "layer \(layer) beneath disk \(disk) is not qcow2: only the lowest may be raw, and none an overlay"
    case .readOnlyOverlay(let disk): "disk \(disk) is an overlay that cannot be written"
    case .memoryWithoutState: "memory is kept together with the state of CPUs and devices, or not at all"
    case .memoryLayers(let count, let most): "\(count) files of a guest's memory: there are 1 to \(most)"
    case .mirror(let disk):
      "disk \(disk) is no mirror: it needs two sides with names of at most 1024 bytes, and to be written"
    case .diskSerial(let disk): "disk \(disk)'s serial number is not 1 to 20 ASCII characters"
    case .hardwareAddress: "the network's hardware address is not six bytes of a single station"
    case .guestAddress(let address):
      "\(address) is no address of a guest's sockets: those are 3 to 4294967294"
    case .vhostWithoutUse: "/dev/vhost-net serves TAP devices of amd64 guests alone"
    case .portName(let port): "console port \(port)'s name is not 1 to 64 bytes of printable ASCII"
    case .portNameTwice(let name): "two console ports are named \(name)"
    case .entropySeedTooLong(let count):
      "the entropy seed has \(count) bytes; \(MachineConfiguration.Limits.entropySeed) are the most"
    case .engineCannotRun(let engine, let architecture):
      "the engine \(engine) cannot run \(architecture) guests: take \(architecture.usualEngine), or auto"
    case .firmware(let architecture): "there is no firmware for \(architecture) guests, only for amd64"
    case .device(true, let architecture): "\(architecture) guests need /dev/kvm"
    case .device(false, let architecture): "/dev/kvm runs no \(architecture) guests"
    }
  }
}
