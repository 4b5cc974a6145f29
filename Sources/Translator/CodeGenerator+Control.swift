internal import Assembler

/// Leaving a block, and the cold code behind it.
extension CodeGenerator {
  mutating func setLink(_ i: Instruction) {
    guard i.destination != 0 else { return }
    setPlace(i.destination, pc &+ UInt64(i.length))
    forget(i.destination)
  }

  mutating func branch(_ i: Instruction, _ condition: Condition) {
    let to = pc &+ UInt64(bitPattern: i.imm)
    let condition = compare(i.a, i.b, 0, condition)
    // What the scratch registers hold lasts to where the branch is not taken.
    settle()
    if to > pc, to & ~0xFFF == blockPage {
      // Forward on the same page: one conditional jump, linked to its target later.
      let site = newSite(to)
      sites[site].field = Int32(assembler.jccPatchable(condition))
      _ = exitLabel(site)
    } else if to <= pc {
      // Backward, a loop's end and mostly taken: poll and jump in line.
      let past = assembler.newLabel()
      assembler.jump(condition.inverted, to: past)
      jumpOut(to: to)
      assembler.bind(past)
    } else {
      let entry = assembler.newLabel()
      assembler.jump(condition, to: entry)
      let site = newSite(to)
      colds.append(Cold(kind: .guardedJump, entry: entry, back: entry, site: site))
    }
  }

  /// Goes to a known guest address: by the dispatcher at first, straight once linked.
  mutating func jumpOut(to target: UInt64) {
    let site = newSite(target)
    if target <= pc { poll(site) }
    guardedJump(site)
  }

  /// As ``jumpOut(to:)``, where a request to leave has been looked for already.
  mutating func jumpOn(to target: UInt64) { guardedJump(newSite(target)) }

  private mutating func poll(_ site: Int) {
    let leave = assembler.newLabel()
    assembler.cmp(.w32, field(ContextLayout.exitRequest), 0)
    assembler.jump(.ne, to: leave)
    colds.append(Cold(kind: .poll, entry: leave, back: leave, site: site))
  }

  private mutating func guardedJump(_ site: Int) {
    guardTarget(site)
    sites[site].field = Int32(assembler.jmpPatchable())
  }

  /// Goes to a site's exit unless the page that its target is on is the one it is linked to. What jumps there
  /// follows.
  private mutating func guardTarget(_ site: Int) {
    let stub = exitLabel(site)
    if sites[site].target & ~0xFFF != blockPage {
      // The immediate is written while other CPUs may run this: never halfway. It comes behind a prefix,
      // the opcode, a byte of addressing and four of displacement.
      assembler.alignField(after: 7)
      assembler.cmp(
        .w32,
        Address(
          base: HostRegisters.view, displacement: AddressView.pageIdentityOffset(sites[site].target)),
        Int32.max)
      sites[site].guardField = Int32(assembler.offset - 4)
      assembler.jump(.ne, to: stub)
    }
  }

  private mutating func newSite(_ target: UInt64) -> Int {
    (sites + siteCount).initialize(
      to: ExitSite(
        target: target, field: 0, stub: 0, guardField: 0, guardIdentity: 0,
        pageAndKey: pageIdentity | UInt32(key) << 31))
    siteCount &+= 1
    return siteCount &- 1
  }

  /// A label for where a site's exit to the dispatcher will be.
  private mutating func exitLabel(_ site: Int) -> Label {
    let label = assembler.newLabel()
    colds.append(Cold(kind: .exit, entry: label, back: label, site: site))
    return label
  }

  /// Jumps to a computed guest address through the view's jump cache.
  mutating func jumpIndirect(_ i: Instruction) {
    if let known = knownValue(i.a) {
      let target = (known &+ UInt64(bitPattern: i.imm)) & ~1
      isMovable = false
      return call(i, to: target)
    }
    let imm = Int32(truncatingIfNeeded: i.imm)
    load(i.a, into: .rcx)
    if imm != 0 { assembler.add(.w64, .rcx, imm) }
    assembler.and(.w64, .rcx, -2)
    if pairsCalls, i.destination == 0, imm == 0, architecture.linkRegisters.contains(i.a) {
      // A return: to where the last call waits, if that is where it goes.
      assembler.cmp(.w64, .rcx, Address(base: .rsp, displacement: 8))
      jump(.ne, toThunk: thunks.returnElsewhere)
      assembler.ret()
      return
    }
    setLink(i)
    assembler.cmp(.w32, field(ContextLayout.exitRequest), 0)
    jump(.ne, toThunk: thunks.leaveIndirect)
    if pairsCalls, architecture.linkRegisters.contains(i.destination) {
      pushReturn(i)
      let code = lookUp(miss: thunks.lookFurtherForCall)
      assembler.call(code)
      landReturn(i)
    } else {
      assembler.jmp(lookUp(miss: thunks.lookFurther))
    }
  }

  /// Finds the code for the guest address in rcx: the result is where its address is.
  private mutating func lookUp(miss: UInt64) -> Address {
    let code = JumpLookup.emit(&assembler, key: key, miss: miss)
    note(.distance)
    return code
  }

  // MARK: - Calls
  //
  // A guest's call is a host's: the guest's return address is pushed, then the host's by the call itself. The
  // guest's return compares addresses and is a host's return, which the host's processor predicts. Whatever
  // does not fit, and leaving generated code, forgets all calls that wait.

  /// Pushes the return address of a call whose link register is set; keeps rcx.
  private mutating func pushReturn(_ i: Instruction) {
    let tooDeep = assembler.newLabel()
    let back = assembler.newLabel()
    assembler.cmp(.w64, .rsp, field(ContextLayout.stackLimit))
    assembler.jump(.b, to: tooDeep)
    assembler.bind(back)
    colds.append(Cold(kind: .forgetCalls, entry: tooDeep, back: back))
    if let host = host(i.destination) { assembler.push(host) } else { assembler.push(home(i.destination)) }
  }

  /// Where the host comes back to after a call.
  private mutating func landReturn(_ i: Instruction) {
    assembler.pop(.rcx)
    jumpOn(to: pc &+ UInt64(i.length))
  }

  /// Calls a known guest address.
  mutating func call(_ i: Instruction, to target: UInt64) {
    setLink(i)
    guard pairsCalls, architecture.linkRegisters.contains(i.destination) else { return jumpOut(to: target) }
    let site = newSite(target)
    if target <= pc { poll(site) }
    guardTarget(site)
    pushReturn(i)
    sites[site].field = Int32(assembler.callPatchable())
    landReturn(i)
  }

  // MARK: - Cold code

  mutating func emitColds() {
    var index = 0
    scratch = ScratchRegisters()
    (loadCall, storeCall) = (nil, nil)
    // A guarded jump adds an exit while the list is walked.
    while index < colds.count {
      let cold = colds[index]
      index += 1
      assembler.bind(cold.entry)
      switch cold.kind {
      case .load: coldLoad(cold)
      case .store: coldStore(cold)
      case .windowLoad:
        windowAddress(cold)
        coldLoad(cold)
      case .windowStore:
        windowAddress(cold)
        coldStore(cold)
      case .interpret:
        pc = cold.pc
        callOut(cold.instruction)
        assembler.jump(to: cold.back)
      case .interpretAndLeave:
        pc = cold.pc
        callOut(cold.instruction)
        pc &+= UInt64(cold.instruction.length)
        storePC(scratch: .rax)
        leave()
      case .exit:
        let stub = assembler.offset
        moveExit(cold.site)
        jump(toThunk: thunks.leave)
        sites[cold.site].stub = Int32(stub)
        _ = assembler.setField(Int(sites[cold.site].field), to: assembler.executableAddress(of: stub))
      case .poll:
        moveExit(cold.site, flag: 1)
        jump(toThunk: thunks.leave)
      case .guardedJump: guardedJump(cold.site)
      case .changeStatus:
        pc = cold.pc
        changeStatus(cold.instruction)
        assembler.jump(to: cold.back)
      case .forgetCalls:
        assembler.mov(.w64, .rsp, field(ContextLayout.hostStack))
        assembler.jump(to: cold.back)
      }
    }
    emitAccessCalls()
  }

  /// The address is in rcx; the call-out's value comes back in rax.
  private mutating func coldLoad(_ cold: Cold) {
    makeWaiting(at: cold)
    assembler.mov(.w32, .rax, Thunks.accessWord(cold.access, pc: cold.pc))
    callAccess(isStore: false)
    if let host = host(cold.register), cold.register != 0 { assembler.mov(.w64, host, .rax) }
    if let xmm = xmm(cold.register) { assembler.movq(xmm, .rax) }
    holdAgain(cold, but: cold.register)
    assembler.jump(to: cold.back)
  }

  /// The address is in rcx.
  private mutating func coldStore(_ cold: Cold) {
    makeWaiting(at: cold)
    assembler.mov(.w32, .rax, Thunks.accessWord(cold.access, pc: cold.pc, register: cold.register))
    callAccess(isStore: true)
    holdAgain(cold)
    assembler.jump(to: cold.back)
  }

  /// Calls out for an access, by way of a piece of code that all loads or stores of the block share.
  private mutating func callAccess(isStore: Bool) {
    let label = (isStore ? storeCall : loadCall) ?? assembler.newLabel()
    if isStore { storeCall = label } else { loadCall = label }
    assembler.call(label)
  }

  /// What the calls of accesses come to: the block's page for the thunk.
  private mutating func emitAccessCalls() {
    for (label, thunk) in [(loadCall, thunks.load), (storeCall, thunks.store)] {
      guard let label else { continue }
      assembler.bind(label)
      movePlace(.rdx, blockPage)
      jump(toThunk: thunk)
    }
  }

  /// Gives the scratch registers back what they hold in line, but for what was just loaded.
  private mutating func holdAgain(_ cold: Cold, but loaded: UInt8 = 0) {
    for number in 0..<3 as Range<UInt8> {
      let guest = cold.held[Int(number)]
      if guest != 0, guest != loaded { assembler.mov(.w64, Register(code: number), home(guest)) }
    }
  }
}
