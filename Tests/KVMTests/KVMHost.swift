import KVM
import Testing

/// Whether this host's /dev/kvm can be used by tests, and if not, why.
enum KVMHost {
  static let trouble: String? = {
    do throws(KVMError) {
      _ = try KVMSystem()
      return nil
    } catch {
      return error.description
    }
  }()

  /// Whether guest code runs on the host's processor.
  static let isHardware = KVMProbe.measure().isUseful

  static var isUsable: Bool { trouble == nil }
  static var reason: Comment { Comment(rawValue: trouble ?? "/dev/kvm can be used") }
}
