internal import GuestMemory
internal import HostSystem
internal import Translator

/// The translator as a hart's engine: looks blocks up, runs them, links their exits.
extension Hart {
  /// Gives the context the functions that generated code calls out to.
  package func installCallOuts() {
    func install(_ callOut: CallOut, _ address: Int) {
      context.word(ContextLayout.callOuts + callOut.rawValue * 8).pointee = UInt64(address)
    }
    typealias Function = @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UInt32) -> UInt64
    let load: Function = { base, address, _, access in
      Hart.call(Context(base: base)) { $0.callOutLoad(address, access) }
    }
    let store: Function = { base, address, value, access in
      Hart.call(Context(base: base)) { $0.callOutStore(address, value, access) }
      return 0
    }
    let interpret: Function = { base, _, index, _ in
      Hart.call(Context(base: base)) { $0.callOutInterpret(index) }
      return 0
    }
    install(.load, unsafeBitCast(load, to: Int.self))
    install(.store, unsafeBitCast(store, to: Int.self))
    install(.interpret, unsafeBitCast(interpret, to: Int.self))
  }

  /// Takes a trap at the context's program counter and has generated code go there.
  private func redirect(_ trap: Trap) {
    takeTrap(trap, pc: context.programCounter)
    redirect()
  }

  /// Has generated code that called out go to the context's program counter; by the run loop if there is something
  /// to look at first.
  private func redirect() {
    context.half(ContextLayout.redirect).pointee = 1
    guard !exitRequest.isSet, !canTakeInterrupt else { return }
    context.word(ContextLayout.goOn).pointee =
      switch blockKey {
      case BlockKey.floatOff: goOnPlaces.plain
      case BlockKey.floatOn: goOnPlaces.float
      default: 0
      }
  }

  private func callOutLoad(_ address: UInt64, _ access: UInt32) -> UInt64 {
    let width = Int(access & MemoryAccessKind.widthMask)
    if isBeyondWindow(address) {
      interpretInstead()
      return 0
    }
    do {
      let value = try slowLoad(address, width: width)
      if access & MemoryAccessKind.signed != 0 {
        let spare = UInt64(64 - 8 * width)
        return UInt64(bitPattern: Int64(bitPattern: value << spare) >> Int64(spare))
      }
      return access & MemoryAccessKind.boxed != 0 ? value | 0xFFFF_FFFF_0000_0000 : value
    } catch {
      redirect(error)
      return 0
    }
  }

  private func callOutStore(_ address: UInt64, _ value: UInt64, _ access: UInt32) {
    if isBeyondWindow(address) { return interpretInstead() }
    do {
      try slowStore(address, width: Int(access & MemoryAccessKind.widthMask), value: value)
    } catch {
      redirect(error)
    }
  }

  /// Interprets the instruction at the program counter instead of the code's, which is not gone back to.
  private func interpretAndLeave() {
    context.word(ContextLayout.callOutStack).pointee = 0
    _ = interpret(limit: 1)
    context.half(ContextLayout.redirect).pointee = 1
  }

  /// As ``interpretAndLeave()``, in the middle of an instruction.
  private func interpretInstead() {
    // It is counted already.
    if cluster.countsInstructions { context.word(ContextLayout.instructionsRetired).pointee &-= 1 }
    interpretAndLeave()
  }

  private func callOutInterpret(_ index: UInt64) {
    guard let instruction = instructions?[Int(index)] else { return }
    do throws(Trap) {
      if instruction.operation == .system {
        let key = blockKey
        let space = state.pointee.translation
        // What may wait, for as long as it likes, does not come back to the code.
        if !SystemOperation.goesOn(instruction) { context.word(ContextLayout.callOutStack).pointee = 0 }
        try executeSystem(instruction)
        // A control register's access goes on in line unless it changed what the code depends on, or
        // let an interrupt in.
        if !SystemOperation.goesOn(instruction) || key != blockKey || space != state.pointee.translation
          || exitRequest.isSet || canTakeInterrupt
        {
          redirect()
        }
        return
      }
      if instruction.operation == .refetch {
        interpretAndLeave()
        return
      }
      if instruction.operation == .illegal, noteFloatBegins(instruction) {
        context.half(ContextLayout.redirect).pointee = 1
        return
      }
      var pc = context.programCounter
      var memory = HartMemory(self)
      try Interpreter.execute(instruction, pc: &pc, context: context, memory: &memory)
    } catch {
      redirect(error)
    }
  }

  /// Runs translated code until something must be looked at: an exit request, a trap, a system
  /// instruction.
  func runTranslated(_ code: CodeStore) {
    var key = blockKey
    if key == BlockKey.untranslated {
      _ = interpret(limit: .max)
      return
    }
    let pc = context.programCounter
    guard var entry = view.code(at: pc, key: key) ?? resolve(pc, key: key, code)?.code else { return }
    while true {
      countExit()
      switch code.run(entry, key: key, context: context) {
      case .dispatch: return
      case .interrupted(let site):
        context.programCounter = code.target(of: site)
        return
      case .site(let site):
        let target = code.target(of: site)
        context.programCounter = target
        // Traps and returns from them go on in generated code, under the key of the other mode.
        key = blockKey
        guard key != BlockKey.untranslated else { return }
        let generation = code.generation
        guard let found = resolve(target, key: key, code) else { return }
        code.link(site, to: found.code, identity: found.identity, generation: generation)
        entry = found.code
      }
    }
  }

  /// Finds or makes the block at `pc`; nil when there is something else to do first: a trap was taken,
  /// an instruction interpreted, or requests wait.
  func resolve(_ pc: UInt64, key: UInt64, _ code: CodeStore) -> (code: UnsafeRawPointer, identity: UInt32)? {
    let view = view
    if let known = code.known(pc, key: key, view: view) {
      view.setCode(known.code, at: pc, key: key)
      return known
    }
    let mode =
      privilege == .user ? views.windows.base == 0 ? 0 : BlockKeyBit.usesWindow : BlockKey.supervisor
    do throws(Trap) {
      while true {
        let found = try fetchCode(pc)
        if code.coldRuns > 0, isCold(pc, number: found.number, key: key, mode: mode, code) {
          interpretCold(pc, page: found, key: key, mode: mode, code)
          return nil
        }
        guard cluster.isClaimed(page: found.number) else {
          // Requests served meanwhile may have changed where the page is.
          cluster.claimCode(page: found.number, for: self)
          continue
        }
        var result = code.find(
          pc: pc, number: found.number, page: found.host, key: key,
          mode: mode, lifter: lifter,
          isClaimed: { cluster.isClaimed(page: found.number) })
        if case .interpret = result, pc & 0xFFF == 0xFFE, let next = try? fetchPage(pc &+ 2) {
          guard cluster.isClaimed(page: next.number) else {
            cluster.claimCode(page: next.number, for: self)
            continue
          }
          let low = UInt16(littleEndian: (found.host + 0xFFE).load(as: UInt16.self))
          let high = UInt16(littleEndian: next.host.load(as: UInt16.self))
          result = code.findCrossing(
            pc: pc, instruction: lifter.instruction(UInt32(low) | UInt32(high) << 16, key: key | mode),
            number: found.number, nextNumber: next.number, key: key, mode: mode,
            isClaimed: { cluster.isClaimed(page: found.number) && cluster.isClaimed(page: next.number) })
        }
        switch result {
        case .code(let entry, let identity):
          view.setCode(entry, at: pc, key: key)
          view.setPageIdentity(identity, pc)
          return (entry, identity)
        case .interpret:
          _ = interpret(limit: 1)
          return nil
        case .full:
          cluster.emptyCache(by: self)
          return nil
        case .unclaimed: continue
        case .busy:
          if code.coldRuns > 0 {
            interpretCold(pc, page: found, key: key, mode: mode, code)
            return nil
          }
          serveRequests()
          hostYield()
        }
      }
    } catch {
      takeTrap(error, pc: pc)
      if cluster.countsInstructions { context.word(ContextLayout.instructionsRetired).pointee &+= 1 }
      return nil
    }
  }

  /// Counts that code is reached which there is no code for, and tells whether to interpret it: it is seldom run, and
  /// cannot be copied.
  func isCold(_ pc: UInt64, number: Int, key: UInt64, mode: UInt64, _ code: CodeStore) -> Bool {
    let runs = heat.count(pc, &heatVisits)
    return runs <= code.coldRuns
      && (runs <= Self.runsBeforeCopying || !code.hasOriginal(pc, number: number, key: key, mode: mode))
  }

  /// How often code is interpreted before it is copied from where it was translated for another address.
  private static let runsBeforeCopying: UInt8 = 4

  /// As ``fetchPage(_:)``, from what is known of the view's pages.
  private func fetchCode(_ pc: UInt64) throws(Trap) -> FetchedPages.Page {
    let base = UInt64(UInt(bitPattern: view.base))
    if let known = decoded.fetched.find(pc, view: base) {
      // The view may have forgotten all code since.
      if !known.isGlobal { view.noteLocalCode() }
      return known
    }
    let found = try fetchPage(pc)
    let page = FetchedPages.Page(
      host: UnsafeRawPointer(found.host), number: found.number, isGlobal: found.isGlobal)
    decoded.fetched.enter(page, at: pc, view: base)
    return page
  }
}
