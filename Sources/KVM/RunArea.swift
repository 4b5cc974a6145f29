internal import CHost
package import HostSystem
internal import Synchronization

/// What a virtual CPU shares with the kernel (struct kvm_run in linux/kvm.h). Guests cannot reach it; all the
/// same every length in it is checked by whoever uses it.
package struct RunArea: Sendable {
  private let mapping: Mapping
  private var base: UnsafeMutableRawPointer { mapping.base }
  /// Bytes in the area, with the pages behind the structure.
  var size: Int { mapping.size }

  /// Maps the area of a virtual CPU, or of a file that has one's content.
  package init(_ cpu: Descriptor, size: Int) throws(Errno) {
    mapping = try Mapping.map(size: size, descriptor: cpu, flags: 0)
  }

  private func load<T: BitwiseCopyable>(_ offset: Int, as type: T.Type = T.self) -> T {
    base.loadUnaligned(fromByteOffset: offset, as: T.self)
  }

  // MARK: - What the kernel is told

  /// Makes KVM_RUN return before guest code runs, for as long as it is set. Any thread may set it.
  func requestExit() { immediateExit.pointee.store(1, ordering: .sequentiallyConsistent) }

  /// Whether an exit was requested; takes the request back.
  func takeExitRequest() -> Bool { immediateExit.pointee.exchange(0, ordering: .sequentiallyConsistent) != 0 }

  private var immediateExit: UnsafeMutablePointer<Atomic<UInt8>> {
    (base + Int(volary_kvm_run_immediate_exit)).assumingMemoryBound(to: Atomic<UInt8>.self)
  }

  /// Makes KVM_RUN return as soon as the guest can take an interrupt.
  var requestsInterruptWindow: Bool {
    get { load(Int(volary_kvm_run_request_interrupt_window), as: UInt8.self) != 0 }
    nonmutating set {
      let flag: UInt8 = newValue ? 1 : 0
      base.storeBytes(of: flag, toByteOffset: Int(volary_kvm_run_request_interrupt_window), as: UInt8.self)
    }
  }

  // MARK: - What the kernel tells

  /// KVM_EXIT_*.
  var exitReason: UInt32 { load(Int(volary_kvm_run_exit_reason)) }
  var isReadyForInterrupt: Bool { load(Int(volary_kvm_run_ready_for_interrupt), as: UInt8.self) != 0 }

  /// Accesses to one port: `count` of them, with the data of each behind that of the one before.
  struct PortAccess {
    var isWrite: Bool
    var width: Int
    var port: UInt16
    var count: Int
    var dataOffset: UInt64
  }

  var portAccess: PortAccess {
    PortAccess(
      isWrite: load(Int(volary_kvm_run_io_direction), as: UInt8.self) == UInt8(KVM_EXIT_IO_OUT),
      width: Int(load(Int(volary_kvm_run_io_size), as: UInt8.self)),
      port: load(Int(volary_kvm_run_io_port)),
      count: Int(load(Int(volary_kvm_run_io_count), as: UInt32.self)),
      dataOffset: load(Int(volary_kvm_run_io_data_offset)))
  }

  /// The data of a port access, if all of it is behind the structure and within the area.
  func data(of access: PortAccess) -> UnsafeMutableRawBufferPointer? {
    let bytes = access.width * access.count
    guard access.dataOffset >= UInt64(volary_kvm_run_fixed_size), bytes <= size,
      access.dataOffset <= UInt64(size - bytes)
    else { return nil }
    return UnsafeMutableRawBufferPointer(start: base + Int(access.dataOffset), count: bytes)
  }

  /// An access to a physical address, of 1 to 8 bytes.
  struct MemoryAccess {
    var isWrite: Bool
    var address: UInt64
    var count: Int
  }

  var memoryAccess: MemoryAccess {
    MemoryAccess(
      isWrite: load(Int(volary_kvm_run_mmio_is_write), as: UInt8.self) != 0,
      address: load(Int(volary_kvm_run_mmio_address)),
      count: Int(load(Int(volary_kvm_run_mmio_length), as: UInt32.self)))
  }

  /// The data of a memory access; the first of its bytes is that at the access's address.
  var memoryData: UInt64 {
    get { load(Int(volary_kvm_run_mmio_data)) }
    nonmutating set {
      base.storeBytes(of: newValue, toByteOffset: Int(volary_kvm_run_mmio_data), as: UInt64.self)
    }
  }

  var hardwareReason: UInt64 { load(Int(volary_kvm_run_hardware_reason)) }
  var entryFailure: (reason: UInt64, cpu: UInt32) {
    (load(Int(volary_kvm_run_entry_reason)), load(Int(volary_kvm_run_entry_cpu)))
  }
  var endedVector: UInt8 { load(Int(volary_kvm_run_eoi_vector)) }

  var systemEvent: KVMExit.SystemEvent {
    let type: UInt32 = load(Int(volary_kvm_run_event_type))
    return switch Int32(bitPattern: type) {
    case KVM_SYSTEM_EVENT_SHUTDOWN: .shutdown
    case KVM_SYSTEM_EVENT_RESET: .reset
    case KVM_SYSTEM_EVENT_CRASH: .crash
    case KVM_SYSTEM_EVENT_WAKEUP: .wakeUp
    case KVM_SYSTEM_EVENT_SUSPEND: .suspend
    default: .other(type)
    }
  }

  var internalError: KVMExit.InternalError {
    let count = min(16, Int(load(Int(volary_kvm_run_internal_count), as: UInt32.self)))
    return KVMExit.InternalError(
      suberror: load(Int(volary_kvm_run_suberror)),
      data: (0..<count).map { load(Int(volary_kvm_run_internal_data) + 8 * $0) })
  }
}
