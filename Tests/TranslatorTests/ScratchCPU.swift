import HostSystem
import Translator

/// A guest "decoder" that hands out instructions of the intermediate representation as they were given.
final class PreparedLifter: BlockLifter {
  /// The instructions at each guest address; the next address's are not appended.
  var blocks: [UInt64: [Instruction]] = [:]

  func lift(
    pc: UInt64, page: UnsafeRawPointer, key: UInt64, into buffer: UnsafeMutablePointer<Instruction>,
    room: Int
  ) -> Int {
    guard let block = blocks[pc] else { return 0 }
    precondition(block.count <= room)
    for (index, instruction) in block.enumerated() { buffer[index] = instruction }
    return block.count
  }
}

/// A page of guest memory and what may be done with it.
struct ScratchPage {
  var host: UnsafeMutableRawPointer
  var canRead = true
  var canWrite = true
}

/// A CPU without an architecture: a context, a view, a page table that is a dictionary, and call-outs that
/// note how they were called.
final class ScratchCPU {
  /// The registers that live in host registers: of every sort that x86-64 encodes differently.
  static let pins: [UInt8] = [15, 14, 10, 2, 13, 11, 12, 8, 9, 1]

  struct Fault: Equatable {
    var address: UInt64
    var isStore: Bool
    /// The program counter and the registers that the call-out saw.
    var pc: UInt64
    var registers: [UInt64]
  }

  let code: CodeStore
  let context: Context
  let view: AddressView
  private let contextMapping: Mapping
  private let viewMapping: Mapping
  private let codeBytes = UnsafeMutableRawPointer.allocate(byteCount: 4096, alignment: 4096)

  /// By guest page address.
  var pages: [UInt64: ScratchPage] = [:]
  /// Where a fault leads.
  var trapVector: UInt64 = 0xDEAD_0000
  private(set) var fault: Fault?
  private(set) var loadCallOuts = 0
  private(set) var storeCallOuts = 0
  private(set) var interpreted: [Instruction] = []

  init(code: CodeStore) throws {
    self.code = code
    contextMapping = try Mapping.map(size: ContextLayout.size)
    viewMapping = try Mapping.map(size: AddressView.size)
    context = Context(memory: contextMapping.base)
    view = AddressView(base: viewMapping.base, missTarget: code.missTarget)
    view.clear()
    context.word(ContextLayout.view).pointee = UInt64(UInt(bitPattern: view.base))
    context.word(ContextLayout.owner).pointee = UInt64(
      UInt(bitPattern: Unmanaged.passUnretained(self).toOpaque()))
    installCallOuts()
  }

  deinit { codeBytes.deallocate() }

  static func of(_ base: UnsafeMutableRawPointer) -> ScratchCPU {
    let bits = UInt(Context(base: base).word(ContextLayout.owner).pointee)
    return Unmanaged<ScratchCPU>.fromOpaque(UnsafeRawPointer(bitPattern: bits)!).takeUnretainedValue()
  }

  private func installCallOuts() {
    typealias Function = @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UInt32) -> UInt64
    let load: Function = { ScratchCPU.of($0).load($1, $3) }
    let store: Function = {
      ScratchCPU.of($0).store($1, $2, $3)
      return 0
    }
    let interpret: Function = { base, _, index, _ in
      ScratchCPU.of(base).interpret(index)
      return 0
    }
    for (callOut, function) in [(CallOut.load, load), (.store, store), (.interpret, interpret)] {
      context.word(ContextLayout.callOuts + callOut.rawValue * 8).pointee = UInt64(
        unsafeBitCast(function, to: UInt.self))
    }
  }

  var registers: [UInt64] {
    get { (0..<64).map { context.registers[$0] } }
    set { for (number, value) in newValue.enumerated() { context.registers[number] = value } }
  }

  func forgetCalls() {
    fault = nil
    loadCallOuts = 0
    storeCallOuts = 0
    interpreted = []
  }

  // MARK: - Call-outs

  private func raise(_ address: UInt64, isStore: Bool) {
    fault = Fault(address: address, isStore: isStore, pc: context.programCounter, registers: registers)
    context.programCounter = trapVector
    context.half(ContextLayout.redirect).pointee = 1
  }

  private func load(_ address: UInt64, _ access: UInt32) -> UInt64 {
    loadCallOuts += 1
    let width = UInt64(access & MemoryAccessKind.widthMask)
    var value: UInt64 = 0
    for byte in 0..<width {
      let place = address &+ byte
      guard let page = pages[place & ~0xFFF], page.canRead else {
        raise(place, isStore: false)
        return 0
      }
      view.fill(table: AddressView.readTable, place, host: page.host)
      value |= UInt64(page.host.load(fromByteOffset: Int(place & 0xFFF), as: UInt8.self)) << (8 * byte)
    }
    if access & MemoryAccessKind.signed != 0 {
      let spare = 64 - 8 * width
      return UInt64(bitPattern: Int64(bitPattern: value << spare) >> Int64(spare))
    }
    return access & MemoryAccessKind.boxed != 0 ? value | 0xFFFF_FFFF_0000_0000 : value
  }

  private func store(_ address: UInt64, _ value: UInt64, _ access: UInt32) {
    storeCallOuts += 1
    let width = UInt64(access & MemoryAccessKind.widthMask)
    for byte in 0..<width {
      guard let page = pages[(address &+ byte) & ~0xFFF], page.canWrite else {
        return raise(address &+ byte, isStore: true)
      }
    }
    for byte in 0..<width {
      let place = address &+ byte
      let page = pages[place & ~0xFFF]!
      page.host.storeBytes(
        of: UInt8(truncatingIfNeeded: value >> (8 * byte)), toByteOffset: Int(place & 0xFFF), as: UInt8.self)
      view.fill(table: AddressView.writeTable, place, host: page.host)
    }
  }

  /// Integer operations are evaluated; `.system` and `.illegal` stop behind or at themselves.
  private func interpret(_ index: UInt64) {
    let i = code.instructions[Int(index)]
    interpreted.append(i)
    let x = context.registers
    if let value = i.operation.evaluate(x[Int(i.a)], x[Int(i.b)] &+ UInt64(bitPattern: i.imm)) {
      if i.destination != 0 { x[Int(i.destination)] = value }
      return
    }
    switch i.operation {
    case .system: context.programCounter &+= UInt64(i.length)
    case .illegal: context.programCounter = trapVector
    default: preconditionFailure("\(i.operation) came to the interpreter")
    }
    context.half(ContextLayout.redirect).pointee = 1
  }

  // MARK: - Running

  /// Finds or makes the block at `pc`, on a page of the memory file of the same number.
  func find(
    _ pc: UInt64, key: UInt64 = 0, mode: UInt64 = 0, number: Int? = nil, lifter: PreparedLifter
  ) -> (code: UnsafeRawPointer, identity: UInt32) {
    while true {
      let found = code.find(
        pc: pc, number: number ?? Int(truncatingIfNeeded: pc >> 12 & 0xF_FFFF),
        page: UnsafeRawPointer(codeBytes),
        key: key, mode: mode, lifter: lifter, isClaimed: { true })
      switch found {
      case .code(let entry, let identity): return (entry, identity)
      case .full:
        code.removeAll()
        view.clearCode()
      case .busy: break
      case .interpret, .unclaimed: preconditionFailure("no block at \(pc)")
      }
    }
  }

  /// Runs the block at `pc` and says where it left to.
  func run(_ pc: UInt64, key: UInt64 = 0, mode: UInt64 = 0, lifter: PreparedLifter) -> CodeStore.Exit {
    context.programCounter = pc
    return code.run(find(pc, key: key, mode: mode, lifter: lifter).code, key: key, context: context)
  }
}

/// Numbers that repeat from run to run (SplitMix64).
struct Dice: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Values at which arithmetic goes wrong, and sometimes any.
  mutating func operand() -> UInt64 {
    next() & 3 == 0 ? next() : Self.edges[Int(next() % UInt64(Self.edges.count))]
  }

  static let edges: [UInt64] = [
    0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7FFF, 0x8000, 0xFFFF,
    0x7FFF_FFFF,
    0x8000_0000, 0xFFFF_FFFF, 0x1_0000_0000, 0x1_8000_0000, 0xFFFF_FFFF_0000_0000, 0xFFFF_FFFF_7FFF_FFFF,
    0xFFFF_FFFF_8000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0x8000_0000_0000_0001,
    0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, 0x0102_0304_0506_0708, 0x00FF_0000_8000_0001,
    .max - 1, .max,
  ]
}
