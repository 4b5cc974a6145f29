internal import CHost
internal import Glibc

/// Gives up what a process that runs guest code does not need: privileges, other processes' namespaces,
/// the file system, most system calls.
package enum Sandbox {
  /// What happens to a process that makes a call it must not make.
  package enum Violation: Sendable {
    /// It dies of SIGSYS at once.
    case kill
    /// The call fails with EPERM. For finding out which call it was, not for guests.
    case refuse
  }

  package struct Options: Sendable {
    package var violation = Violation.kill
    /// Descriptors the process may have open.
    package var openFiles: UInt64 = 512
    /// Requests of ioctl(2) that the process makes on devices it has open, such as KVM's. All others fail.
    package var deviceRequests: [UInt32] = []
    /// A listening socket that the process has open, and accepts connections on; of no other.
    package var listener: Descriptor?

    package init() {}
  }

  /// Walls that not every host has.
  package struct Walls: OptionSet, Sendable, CustomStringConvertible {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    /// User, mount, network, IPC and UTS namespaces of its own, over an empty file system.
    package static let namespaces = Walls(rawValue: 1 << 0)
    /// No new access to files, TCP and abstract sockets.
    package static let landlock = Walls(rawValue: 1 << 1)
    /// Few system calls.
    package static let seccomp = Walls(rawValue: 1 << 2)

    package var description: String {
      let names: [(Walls, String)] = [
        (.namespaces, "namespaces"), (.landlock, "landlock"), (.seccomp, "seccomp"),
      ]
      return names.filter { contains($0.0) }.map(\.1).joined(separator: ", ")
    }
  }

  /// A step that every host must manage, and how it failed.
  package struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
    package let step: String
    package let cause: Errno

    package var description: String { "sandbox: \(step): \(cause)" }
  }

  /// Raises the walls, and says which of them this host has. Call it once, while the process has one
  /// thread: capabilities, namespaces and Landlock are a thread's own, and later threads inherit them.
  /// What is needed from the file system, and executable memory, must be in hand.
  ///
  /// Namespaces and Landlock are taken where the kernel gives them. The system-call filter and the rest
  /// must succeed.
  @discardableResult
  package static func apply(_ options: Options = Options()) throws(Failure) -> Walls {
    var walls: Walls = []
    let parentDeathSignal = volary_parent_death_signal()
    try step("no new privileges", volary_prctl(Int32(volary_pr_set_no_new_privs), 1))
    if volary_enter_empty_namespaces() == 0 { walls.insert(.namespaces) }
    let abi = landlockABI ?? 0
    if abi > 0, volary_landlock_deny_all(Int32(abi)) == 0 { walls.insert(.landlock) }
    try step("capabilities", volary_drop_capabilities())
    try step("core dumps", volary_limit(Int32(RLIMIT_CORE.rawValue), 0))
    try step("open files", volary_limit(Int32(RLIMIT_NOFILE.rawValue), options.openFiles))
    // Both were reset when the credentials changed.
    try step("not dumpable", volary_prctl(Int32(volary_pr_set_dumpable), 0))
    try step("end with the parent", volary_prctl(Int32(volary_pr_set_pdeathsig), UInt(parentDeathSignal)))

    let policy = SystemCallPolicy.machine(
      defaultAction: options.violation == .kill ? .kill : .refuse(Errno(EPERM)),
      deviceRequests: options.deviceRequests, listener: options.listener?.raw)
    let program = policy.assemble().map {
      volary_bpf_instruction(code: $0.code, jump_true: $0.jumpTrue, jump_false: $0.jumpFalse, k: $0.k)
    }
    try step("system-call filter", volary_seccomp_install(program, UInt32(program.count)))
    walls.insert(.seccomp)
    return walls
  }

  /// The version of Landlock that this kernel has (1 and up), or nil.
  package static var landlockABI: Int? {
    let abi = volary_landlock_abi()
    return abi > 0 ? Int(abi) : nil
  }

  private static func step(_ name: String, _ result: Int32) throws(Failure) {
    if result < 0 { throw Failure(step: name, cause: Errno(-result)) }
  }
}
