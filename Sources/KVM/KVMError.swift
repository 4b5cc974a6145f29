package import HostSystem

/// Why KVM could not do what was asked of it. Each case reads as one line.
package enum KVMError: Error, Equatable, Sendable, CustomStringConvertible {
  /// There is no such file: the host has no KVM, or its kernel module is not loaded.
  case missing(path: String)
  /// This user may not open the device. `group` owns it; nil when its members may not open it either.
  case denied(path: String, group: String?)
  /// The device cannot be opened for another reason.
  case cannotOpen(path: String, Errno)
  /// What was opened, or handed over, is no KVM device.
  case notKVM
  /// The kernel's interface is not the stable one, version 12.
  case unknownVersion(Int32)
  /// The kernel lacks capabilities that a machine needs, by their names in linux/kvm.h.
  case lacking([String])
  /// More virtual CPUs than this host, or Volary, can give a machine.
  case tooManyCPUs(asked: Int, most: Int)
  /// The request of that name failed.
  case failed(request: String, Errno)
  /// A saved state that cannot be one of this version's.
  case badState(String)

  package var description: String {
    switch self {
    case .missing(let path):
      "there is no \(path): this host has no KVM, or its module (kvm_intel, kvm_amd) is not loaded"
    case .denied(let path, let group?):
      "\(path) may not be opened by this user, but by members of the group \(group)"
    case .denied(let path, nil):
      "\(path) may not be opened by this user, nor by members of a group"
    case .cannotOpen(let path, let error): "\(path) cannot be opened: \(error)"
    case .notKVM: "this is not a KVM device"
    case .unknownVersion(let version): "KVM has interface version \(version), and 12 is the stable one"
    case .lacking(let names): "this host's KVM lacks \(names.joined(separator: ", "))"
    case .tooManyCPUs(let asked, let most): "\(asked) CPUs were asked for, and 1 to \(most) can be had"
    case .failed(let request, let error): "\(request) failed: \(error)"
    case .badState(let what): "the saved state of a CPU is damaged: \(what)"
    }
  }
}
