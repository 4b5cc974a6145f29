import RISCV
import Translator

/// A stretch of plain memory for instructions under test. Everything outside it faults.
struct TestMemory: MemoryAccess {
  let base: UInt64
  var bytes: [UInt8]
  private var reservation: UInt64?

  init(base: UInt64, bytes: [UInt8]) {
    self.base = base
    self.bytes = bytes
  }

  private func offset<T: FixedWidthInteger>(
    _ address: UInt64, _ type: T.Type, cause: UInt64
  ) throws(Trap) -> Int {
    let size = UInt64(T.bitWidth / 8)
    let offset = address &- base
    guard UInt64(bytes.count) >= size, offset <= UInt64(bytes.count) - size else {
      throw Trap(cause: cause, value: address)
    }
    return Int(offset)
  }

  private func aligned<T: FixedWidthInteger>(
    _ address: UInt64, _ type: T.Type, else cause: UInt64
  ) throws(Trap) {
    if address % UInt64(T.bitWidth / 8) != 0 { throw Trap(cause: cause, value: address) }
  }

  func load<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, as type: T.Type
  ) throws(Trap) -> T {
    let offset = try offset(address, type, cause: Trap.Cause.loadAccessFault)
    return bytes.withUnsafeBytes { T(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: type)) }
  }

  mutating func store<T: FixedWidthInteger & UnsignedInteger>(
    _ value: T, at address: UInt64
  ) throws(Trap) {
    let offset = try offset(address, T.self, cause: Trap.Cause.storeAccessFault)
    bytes.withUnsafeMutableBytes {
      $0.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
  }

  mutating func atomic<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, _ operation: AtomicOperation, _ operand: T
  ) throws(Trap) -> T {
    try aligned(address, T.self, else: Trap.Cause.storeAddressMisaligned)
    _ = try offset(address, T.self, cause: Trap.Cause.storeAccessFault)
    let old = try load(address, as: T.self)
    try store(operation.apply(old, operand), at: address)
    return old
  }

  mutating func loadReserved<T: FixedWidthInteger & UnsignedInteger>(
    _ address: UInt64, as type: T.Type
  ) throws(Trap) -> T {
    try aligned(address, type, else: Trap.Cause.loadAddressMisaligned)
    let value = try load(address, as: type)
    reservation = address
    return value
  }

  mutating func storeConditional<T: FixedWidthInteger & UnsignedInteger>(
    _ value: T, at address: UInt64
  ) throws(Trap) -> Bool {
    try aligned(address, T.self, else: Trap.Cause.storeAddressMisaligned)
    defer { reservation = nil }
    if reservation != address { return false }
    try store(value, at: address)
    return true
  }

  func fence(_ ordering: Ordering) {}
}

/// A context with memory of its own.
final class TestContext {
  let context: Context
  private let memory: UnsafeMutableRawPointer

  init() {
    memory = .allocate(byteCount: ContextLayout.size, alignment: 4096)
    memory.initializeMemory(as: UInt8.self, repeating: 0, count: ContextLayout.size)
    context = Context(memory: memory)
  }

  /// With every register random but the first.
  convenience init(random seed: UInt64) {
    self.init()
    var random = RandomBits(seed: seed)
    for number in 1..<64 { context.registers[number] = random.next() }
  }

  deinit { memory.deallocate() }

  var registers: [UInt64] { (0..<64).map { context.registers[$0] } }

  /// The floating-point control and status register.
  var fcsr: UInt64 {
    get {
      UInt64(context.half(ContextLayout.floatFlags).pointee)
        | UInt64(context.half(ContextLayout.floatRounding).pointee) << 5
    }
    set {
      context.half(ContextLayout.floatFlags).pointee = UInt32(newValue & 31)
      context.half(ContextLayout.floatRounding).pointee = UInt32(newValue >> 5 & 7)
    }
  }

  var isFloatTouched: Bool { context.half(ContextLayout.floatTouched).pointee != 0 }
}
