internal import CHost
internal import Glibc
package import HostSystem

/// /dev/kvm, opened: what this host's KVM can do, and where virtual machines come from.
package final class KVMSystem: Sendable {
  package static let path = "/dev/kvm"

  /// The device. A process that will be in a sandbox gets it from one that is not.
  package let device: Descriptor
  /// What a guest could be told by CPUID: the host's processor as far as KVM supports it.
  package let supportedCPUID: CPUIDTable
  /// Model-specific registers that belong to a CPU's state.
  package let stateRegisters: [UInt32]
  /// Bytes that a virtual CPU shares with the kernel.
  let runAreaSize: Int

  /// What a filter of system calls has to let through (the second argument of ioctl(2)), for a process that is
  /// given the device.
  package static var requestNumbers: [UInt32] { KVMRequest.all.map { UInt32(truncatingIfNeeded: $0.number) } }

  /// Opens the device, and looks at it as ``init(device:)`` does.
  package convenience init(path: String = KVMSystem.path) throws(KVMError) {
    try self.init(device: try Self.open(path))
  }

  /// Takes a device that was opened for reading and writing, perhaps by another process, and checks that it has
  /// all that machines need.
  package init(device: Descriptor) throws(KVMError) {
    self.device = device
    let version: Int32
    do { version = try device.request(.getVersion) } catch { throw .notKVM }
    guard version == KVM_API_VERSION else { throw .unknownVersion(version) }
    let missing = KVMCapability.missing { Self.value(of: $0, at: device) }
    guard missing.isEmpty else { throw .lacking(missing) }
    runAreaSize = Int(try device.request(.getRunSize))
    guard runAreaSize >= Int(volary_kvm_run_fixed_size) else { throw .notKVM }
    supportedCPUID = try CPUIDTable(supportedBy: device)
    stateRegisters = try Self.readStateRegisters(device)
  }

  /// What KVM says to KVM_CHECK_EXTENSION: 0 for what it lacks, else 1 or a number with a meaning of its own.
  package func value(of capability: KVMCapability) -> Int { Self.value(of: capability, at: device) }

  static func value(of capability: KVMCapability, at descriptor: Descriptor) -> Int {
    Int((try? descriptor.request(.checkExtension, UInt(capability.number))) ?? 0)
  }

  /// CPUs that a machine can have at most.
  package var mostCPUs: Int { min(KVMMachine.mostCPUs, max(1, value(of: .mostCPUs))) }

  /// Bits of guests' physical addresses (CPUID leaf 0x8000_0008).
  package var physicalAddressBits: Int {
    let bits = supportedCPUID[CPUIDTable.Leaf.addressSizes].map { Int($0.eax & 0xFF) } ?? 0
    return (32...52).contains(bits) ? bits : 36
  }

  // MARK: - Opening

  private static func open(_ path: String) throws(KVMError) -> Descriptor {
    do throws(Errno) { return try Descriptor.open(path, O_RDWR) } catch {
      switch error.code {
      case ENOENT, ENODEV, ENXIO: throw .missing(path: path)
      case EACCES, EPERM: throw .denied(path: path, group: groupThatMayOpen(path))
      default: throw .cannotOpen(path: path, error)
      }
    }
  }

  /// The group that owns a file, if its members may read and write.
  private static func groupThatMayOpen(_ path: String) -> String? {
    var status = stat()
    guard stat(path, &status) == 0, status.st_mode & 0o060 == 0o060 else { return nil }
    return groupName(status.st_gid)
  }

  /// A group's name by /etc/group, else its number. The C library's own search needs name services, which a
  /// static program does not have.
  private static func groupName(_ number: UInt32) -> String {
    guard let file = try? Descriptor.open("/etc/group", O_RDONLY) else { return "\(number)" }
    var text: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while text.count < 1 << 22, let count = try? part.withUnsafeMutableBytes(file.read(into:)), count > 0 {
      text += part[..<count]
    }
    for line in text.split(separator: UInt8(ascii: "\n")) {
      let fields = line.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
      if fields.count > 2, String(decoding: fields[2], as: UTF8.self) == "\(number)" {
        return String(decoding: fields[0], as: UTF8.self)
      }
    }
    return "\(number)"
  }

  // MARK: - Lists

  private static func readStateRegisters(_ device: Descriptor) throws(KVMError) -> [UInt32] {
    // A count of 32 bits, then the registers' numbers.
    var list = [UInt64](repeating: 0, count: 4096)
    list[0] = UInt64(list.count * 2 - 1)
    try device.request(.getMSRIndexList, words: &list)
    return list.withUnsafeBytes { bytes in
      let words = bytes.bindMemory(to: UInt32.self)
      return Array(words[1...].prefix(Int(words[0])))
    }
  }
}
