internal import Assembler

/// Floating-point values from one place to another, and their signs: nothing here rounds or has exceptions.
extension CodeGenerator {
  /// A load into a pinned register.
  mutating func loadFloat(_ i: Instruction, _ xmm: XMM) {
    let isSingle = i.operation == .loadFloat32
    let bytes: Int32 = isSingle ? 4 : 8
    let (slow, back) = (assembler.newLabel(), assembler.newLabel())
    look(i, table: AddressView.readTable, bytes: bytes, slow: slow)
    if isSingle {
      assembler.movd(xmm, Address(base: .rcx))
      assembler.orps(xmm, field(FloatConstants.box))
    } else {
      assembler.movsd(xmm, Address(base: .rcx))
    }
    assembler.bind(back)
    // Only now: a load that faults has changed nothing.
    noteFloat()
    colds.append(
      Cold(
        kind: .load, entry: slow, back: back, register: i.destination,
        access: UInt32(bytes) | (isSingle ? MemoryAccessKind.boxed : 0), pc: pc))
  }

  /// A store of a pinned register.
  mutating func storeFloat(_ i: Instruction, _ xmm: XMM) {
    let isSingle = i.operation == .store32
    let bytes: Int32 = isSingle ? 4 : 8
    let (slow, back) = (assembler.newLabel(), assembler.newLabel())
    look(i, table: AddressView.writeTable, bytes: bytes, slow: slow)
    if isSingle {
      assembler.movd(Address(base: .rcx), xmm)
    } else {
      assembler.movsd(Address(base: .rcx), xmm)
    }
    assembler.bind(back)
    colds.append(
      Cold(kind: .store, entry: slow, back: back, register: i.b, access: UInt32(bytes), pc: pc))
  }

  /// Bits between the files.
  mutating func moveFloatBits(_ i: Instruction) {
    switch i.operation {
    case .floatMoveToInteger32:
      guard i.destination != 0 else { return }
      let work = target(i.destination)
      switch operand(i.a) {
      case .register(let a):
        assembler.movd(work, a)
        assembler.movsx(.w64, work, work, from: .w32)
      case .memory(let a): assembler.movsx(.w64, work, a, from: .w32)
      }
      store(work, to: i.destination)
      forget(i.destination)
    case .floatMoveToInteger64:
      guard i.destination != 0 else { return }
      let work = target(i.destination)
      load(i.a, into: work)
      store(work, to: i.destination)
      forget(i.destination)
    case .floatMoveFromInteger32:
      noteFloat()
      let work = xmm(i.destination) ?? .xmm0
      assembler.movd(work, value(i.a, .rax))
      assembler.orps(work, field(FloatConstants.box))
      setFloat(i.destination, work)
    default:
      noteFloat()
      store(value(i.a, .rax), to: i.destination)
    }
  }

  /// A value with the sign of another, its inverse, or both signs' exclusive or.
  mutating func floatSign(_ i: Instruction, _ precision: Precision) {
    noteFloat()
    if precision == .single { requireBoxed(i, i.a, i.b) }
    let isDouble = precision == .double
    let sign = field(isDouble ? FloatConstants.sign64 : FloatConstants.sign32)
    let magnitude = field(isDouble ? FloatConstants.magnitude64 : FloatConstants.magnitude32)
    switch i.operation {
    case _ where i.a == i.b:
      let work = xmm(i.destination) ?? .xmm0
      copy(i.a, into: work)
      switch i.operation {
      case .floatCopySign32, .floatCopySign64: break
      case .floatXorSign32, .floatXorSign64: assembler.andps(work, magnitude)
      default: assembler.xorps(work, sign)
      }
      setFloat(i.destination, work)
      return
    case .floatXorSign32, .floatXorSign64:
      copy(i.b, into: .xmm0)
      assembler.andps(.xmm0, sign)
      copy(i.a, into: .xmm1)
    case .floatCopySign32, .floatCopySign64:
      copy(i.b, into: .xmm0)
      assembler.andps(.xmm0, sign)
      copy(i.a, into: .xmm1)
      assembler.andps(.xmm1, magnitude)
    default:
      copy(i.b, into: .xmm0)
      assembler.andnps(.xmm0, sign)
      copy(i.a, into: .xmm1)
      assembler.andps(.xmm1, magnitude)
    }
    assembler.xorps(.xmm0, .xmm1)
    setFloat(i.destination, .xmm0)
  }
}
