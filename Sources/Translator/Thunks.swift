internal import Assembler

/// The fixed pieces of generated code between Swift and the blocks: how it is entered and left, and
/// how it calls out. Executable addresses.
struct Thunks {
  /// `(context, code) -> exit`, a C function: loads the guest registers and jumps to the code.
  var enter: UInt64 = 0
  /// Stores the guest registers and returns the exit in eax to Swift.
  var leave: UInt64 = 0
  /// Leaves with the guest address in rcx as the program counter.
  var leaveIndirect: UInt64 = 0
  /// Goes to the guest address in rcx, which the view's jump cache does not know: by ``CodeIndex``, and through
  /// ``leaveIndirect`` when that does not know it either.
  var lookFurther: UInt64 = 0
  /// The same for a call, whose guest return address has been pushed.
  var lookFurtherForCall: UInt64 = 0
  /// Goes to the guest address in rcx, forgetting all calls that wait for their return.
  var returnElsewhere: UInt64 = 0
  /// Call-outs of accesses: the address in rcx, the address of the instruction's page in rdx, in eax what
  /// ``accessWord(_:pc:register:)`` says; the result comes back in rax. They do not come back when the call-out asked
  /// for a redirection.
  var load: UInt64 = 0
  var store: UInt64 = 0
  /// As the others, with the instruction's index in edx and its address in the context.
  var interpret: UInt64 = 0
  /// Goes to the context's program counter, forgetting all calls that wait for their return: where call-outs that
  /// have changed it may have generated code go on (``ContextLayout/goOn``).
  var goOn: UInt64 = 0
  /// Gives the status register (``StatusFields``) the value in rcx as far as it can be written; the old one in rax.
  /// Carry: nothing done, because the front end has to. Overwrites rdx. 0 where there is no such register.
  var changeStatus: UInt64 = 0

  /// What a call-out of an access is told: how it is done, the instruction's place in its page, and for a store the
  /// register that is stored.
  static func accessWord(_ access: UInt32, pc: UInt64, register: UInt8 = 0) -> Int64 {
    Int64(access) | Int64(pc & 0xFFF) << 8 | Int64(register) << 20
  }

  /// Calls that may wait for their return, each with 16 bytes of the host's stack.
  static let callDepth: Int32 = 2048

  /// `float`: the floating-point state that blocks entered by these thunks have in host registers. `counts`: the
  /// machine is profiled (``ProfileCounter``).
  init(
    assembler: inout X86Assembler, pins: [UInt8], key: UInt64, float: FloatState?,
    index: UnsafePointer<CodeIndex>, status: StatusFields? = nil, counts: Bool = false
  ) {
    assembler.align(to: 16)
    func at(_ displacement: Int32) -> Address {
      Address(base: HostRegisters.context, displacement: displacement)
    }
    let pairs = Array(zip(pins, HostRegisters.pins))
    func loadPins(_ assembler: inout X86Assembler) {
      float?.load(&assembler)
      for (guest, host) in pairs { assembler.mov(.w64, host, at(ContextLayout.register(guest))) }
    }
    func storePins(_ assembler: inout X86Assembler) {
      for (guest, host) in pairs { assembler.mov(.w64, at(ContextLayout.register(guest)), host) }
      float?.store(&assembler)
    }
    func count(_ counter: ProfileCounter, _ assembler: inout X86Assembler) {
      if counts { assembler.inc(.w64, at(counter.place)) }
    }
    let saved: [Register] = [.rbx, .rbp, .r12, .r13, .r14, .r15]

    enter = assembler.executableAddress
    for register in saved { assembler.push(register) }
    // What the first return finds in place of its call: an address that none goes to.
    assembler.sub(.w64, .rsp, 24)
    assembler.mov(.w64, Address(base: .rsp, displacement: 8), -1)
    assembler.mov(.w64, HostRegisters.context, .rdi)
    assembler.mov(.w64, at(ContextLayout.hostStack), .rsp)
    assembler.lea(.w64, .rax, Address(base: .rsp, displacement: -16 * Self.callDepth))
    assembler.mov(.w64, at(ContextLayout.stackLimit), .rax)
    assembler.mov(.w64, .rax, .rsi)
    assembler.mov(.w64, HostRegisters.view, at(ContextLayout.view))
    loadPins(&assembler)
    assembler.jmp(.rax)

    assembler.align(to: 16)
    leaveIndirect = assembler.executableAddress
    count(.unknownTarget, &assembler)
    assembler.mov(.w64, at(ContextLayout.programCounter), .rcx)
    assembler.mov(.w32, .rax, 0)
    leave = assembler.executableAddress
    storePins(&assembler)
    let leaveStored = assembler.executableAddress
    if counts {
      // A site that was left at, or 0; its lowest bit says that leaving was asked for.
      let (request, counted) = (assembler.newLabel(), assembler.newLabel())
      assembler.test(.w32, .rax, .rax)
      assembler.jump(.e, to: counted)
      assembler.test(.w32, .rax, 1)
      assembler.jump(.ne, to: request)
      count(.unlinkedExit, &assembler)
      assembler.jump(to: counted)
      assembler.bind(request)
      count(.request, &assembler)
      assembler.bind(counted)
    }
    assembler.mov(.w64, .rsp, at(ContextLayout.hostStack))
    assembler.mov(.w64, at(ContextLayout.callOutStack), 0)
    assembler.add(.w64, .rsp, 24)
    for register in saved.reversed() { assembler.pop(register) }
    assembler.ret()

    assembler.align(to: 16)
    let redirected = assembler.executableAddress
    let goesOn = assembler.newLabel()
    assembler.mov(.w32, at(ContextLayout.redirect), 0)
    assembler.mov(.w64, .rcx, at(ContextLayout.goOn))
    assembler.mov(.w32, .rax, 0)
    assembler.test(.w64, .rcx, .rcx)
    assembler.jump(.ne, to: goesOn)
    count(.redirection, &assembler)
    assembler.jmp(to: leaveStored)
    assembler.bind(goesOn)
    assembler.mov(.w64, at(ContextLayout.goOn), .rax)
    assembler.jmp(.rcx)

    /// Looks the guest address in rcx up: its code in rax, 0 if there is none. Keeps rcx and the guest's registers.
    /// `depth`: by how much the stack is off from where it is aligned to 16 bytes.
    func lookUp(_ assembler: inout X86Assembler, depth: Int32) {
      let kept: [Register] = [.rcx] + HostRegisters.pins.filter { !saved.contains($0) }
      let floats = float?.hosts ?? []
      let size = Int32(kept.count + floats.count) * 8
      let room = ((size + depth + 15) & ~15) - depth
      func place(_ index: Int) -> Address { Address(base: .rsp, displacement: Int32(index) * 8) }
      assembler.sub(.w64, .rsp, room)
      for (index, register) in kept.enumerated() { assembler.mov(.w64, place(index), register) }
      for (index, register) in floats.enumerated() { assembler.movsd(place(kept.count + index), register) }
      assembler.mov(.w64, .rdi, HostRegisters.view)
      assembler.mov(.w64, .rsi, .rcx)
      assembler.mov(.w32, .rdx, Int64(key))
      assembler.mov(.w64, .rcx, Int64(Int(bitPattern: index)))
      assembler.call(to: UInt64(unsafeBitCast(JumpLookup.further, to: UInt.self)))
      for (index, register) in kept.enumerated() { assembler.mov(.w64, register, place(index)) }
      for (index, register) in floats.enumerated() { assembler.movsd(register, place(kept.count + index)) }
      assembler.add(.w64, .rsp, room)
      assembler.test(.w64, .rax, .rax)
      assembler.jcc(.e, to: leaveIndirect)
    }

    assembler.align(to: 16)
    lookFurther = assembler.executableAddress
    lookUp(&assembler, depth: 0)
    assembler.jmp(.rax)

    assembler.align(to: 16)
    goOn = assembler.executableAddress
    assembler.mov(.w64, .rsp, at(ContextLayout.hostStack))
    assembler.mov(.w64, at(ContextLayout.callOutStack), 0)
    assembler.mov(.w64, HostRegisters.view, at(ContextLayout.view))
    loadPins(&assembler)
    assembler.mov(.w64, .rcx, at(ContextLayout.programCounter))
    assembler.jmp(JumpLookup.emit(&assembler, key: key, miss: lookFurther))

    // The host's return leads to where the guest's return address is looked up.
    assembler.align(to: 16)
    let returned = assembler.executableAddress
    assembler.pop(.rcx)
    assembler.jmp(JumpLookup.emit(&assembler, key: key, miss: lookFurther))
    assembler.align(to: 16)
    lookFurtherForCall = assembler.executableAddress
    lookUp(&assembler, depth: 8)
    assembler.mov(.w64, .rdx, Int64(bitPattern: returned))
    assembler.push(.rdx)
    assembler.jmp(.rax)

    assembler.align(to: 16)
    returnElsewhere = assembler.executableAddress
    count(.strayReturn, &assembler)
    assembler.mov(.w64, .rsp, at(ContextLayout.hostStack))
    // A guest can go round and round by such returns alone.
    assembler.cmp(.w32, at(ContextLayout.exitRequest), 0)
    assembler.jcc(.ne, to: leaveIndirect)
    assembler.jmp(JumpLookup.emit(&assembler, key: key, miss: lookFurther))

    func callOut(_ function: CallOut, _ assembler: inout X86Assembler) -> UInt64 {
      assembler.align(to: 16)
      let entry = assembler.executableAddress
      storePins(&assembler)
      if function != .interpret {
        assembler.mov(.w32, .rsi, .rax)
        assembler.shr(.w32, .rsi, by: 8)
        assembler.and(.w32, .rsi, 0xFFF)
        assembler.or(.w64, .rdx, .rsi)
        assembler.mov(.w64, at(ContextLayout.programCounter), .rdx)
        if function == .store {
          assembler.mov(.w32, .rsi, .rax)
          assembler.shr(.w32, .rsi, by: 20)
          assembler.mov(
            .w64, .rdx,
            Address(
              base: HostRegisters.context, index: .rsi, scale: .x8, displacement: ContextLayout.register(0)))
        }
        assembler.movzx(.rax, .rax, from: .w8)
      }
      assembler.sub(.w64, .rsp, 8)
      assembler.lea(.w64, .rdi, Address(base: .rsp, displacement: 16))
      assembler.mov(.w64, at(ContextLayout.callOutStack), .rdi)
      assembler.mov(.w64, .rdi, HostRegisters.context)
      assembler.mov(.w64, .rsi, .rcx)
      assembler.mov(.w32, .rcx, .rax)
      assembler.call(at(ContextLayout.callOuts + function.rawValue * 8))
      assembler.add(.w64, .rsp, 8)
      assembler.cmp(.w32, at(ContextLayout.redirect), 0)
      assembler.jcc(.ne, to: redirected)
      assembler.mov(.w64, HostRegisters.view, at(ContextLayout.view))
      loadPins(&assembler)
      assembler.ret()
      return entry
    }
    load = callOut(.load, &assembler)
    store = callOut(.store, &assembler)
    interpret = callOut(.interpret, &assembler)
    if let status { changeStatus = Self.emitChangeStatus(&assembler, status) }
  }

  /// What a piece is called in listings, by its address.
  func name(of address: UInt64) -> String? {
    switch address {
    case leave: "leave"
    case leaveIndirect: "leaveIndirect"
    case returnElsewhere: "returnElsewhere"
    case lookFurther: "lookFurther"
    case lookFurtherForCall: "lookFurtherForCall"
    case load: "load"
    case store: "store"
    case interpret: "interpret"
    case changeStatus where changeStatus != 0: "changeStatus"
    default: nil
    }
  }
}
