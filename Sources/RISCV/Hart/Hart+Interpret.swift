internal import GuestMemory
internal import Synchronization
internal import Translator

/// The reference interpreter: the oracle, and the whole engine where asked for.
extension Hart {
  /// Runs up to `limit` instructions from the context's program counter, or until the hart is asked
  /// to look up or a trap or system instruction is done. Returns how many it ran.
  func interpret(limit: Int) -> Int {
    var pc = context.programCounter
    var done = 0
    var counted = 0
    var memory = HartMemory(self)
    let viewKey = UInt64(UInt(bitPattern: memory.view.base))
    let floatOff = isFloatOff
    do throws(Trap) {
      while done < limit {
        guard let page = decoded.find(pc, view: viewKey) else {
          try enterPage(pc, view: viewKey)
          continue
        }
        let pageAddress = pc & ~0xFFF
        // Within one page until a jump leaves it.
        repeat {
          var instruction = page.slots[Int(truncatingIfNeeded: (pc & 0xFFF) >> 1)]
          if instruction.length == DecodedPages.undecoded { instruction = try decode(pc, into: page) }
          if instruction.operation == .system {
            context.programCounter = pc
            // It may read the count, itself included.
            count(done + 1, &counted)
            try executeSystem(instruction)
            return done + 1
          }
          if floatOff, instruction.reserved & DecodedPages.usesFloat != 0 {
            context.programCounter = pc
            throw illegal(instruction)
          }
          let from = pc
          try Interpreter.execute(instruction, pc: &pc, context: context, memory: &memory)
          done += 1
          if pc <= from, exitRequest.isSet || done >= limit {
            context.programCounter = pc
            count(done, &counted)
            return done
          }
        } while pc & ~0xFFF == pageAddress && done < limit
      }
      context.programCounter = pc
    } catch {
      // Whatever trapped has left `pc` at its own address.
      takeTrap(error, pc: pc)
      done += 1
    }
    count(done, &counted)
    return done
  }

  /// Runs code that is not worth translating yet: straight from memory, from `pc` to the page's end, or the first jump
  /// off the page or to code that is worth it.
  func interpretCold(_ start: UInt64, page: FetchedPages.Page, key: UInt64, mode: UInt64, _ code: CodeStore) {
    var pc = start
    var done = 0
    var counted = 0
    var memory = HartMemory(self)
    let floatOff = isFloatOff
    do throws(Trap) {
      while true {
        let offset = Int(truncatingIfNeeded: pc & 0xFFF)
        var bits = UInt32(UInt16(littleEndian: page.host.load(fromByteOffset: offset, as: UInt16.self)))
        if bits & 3 == 3 {
          guard offset + 4 <= 4096 else {
            context.programCounter = pc
            count(done, &counted)
            _ = interpret(limit: 1)
            return
          }
          bits |=
            UInt32(UInt16(littleEndian: page.host.load(fromByteOffset: offset + 2, as: UInt16.self))) << 16
        }
        let entry = lifter.decoded.entry(bits)
        let instruction = entry.pointee.instruction
        context.programCounter = pc
        done += 1
        if instruction.operation == .system {
          count(done, &counted)
          return try executeSystem(instruction)
        }
        if floatOff, entry.pointee.usesFloat { throw illegal(instruction) }
        let next = pc &+ UInt64(instruction.length)
        try Interpreter.execute(instruction, pc: &pc, context: context, memory: &memory)
        if pc == next {
          if pc & 0xFFF == 0 { break }
        } else {
          guard pc &>> 12 == start &>> 12, isCold(pc, number: page.number, key: key, mode: mode, code),
            !exitRequest.isSet
          else { break }
        }
      }
      context.programCounter = pc
    } catch {
      takeTrap(error, pc: pc)
    }
    count(done, &counted)
  }

  /// Adds what was done since the last call to the instructions retired. An instruction that traps
  /// counts, as in translated code.
  private func count(_ done: Int, _ counted: inout Int) {
    guard cluster.countsInstructions || profile != nil else { return }
    profile?.coldInstructions &+= UInt64(done - counted)
    guard cluster.countsInstructions else { return counted = done }
    context.word(ContextLayout.instructionsRetired).pointee &+= UInt64(done - counted)
    counted = done
  }

  /// Makes the decoded page of `pc` known.
  private func enterPage(_ pc: UInt64, view: UInt64) throws(Trap) {
    var found = try fetchPage(pc)
    while !cluster.isClaimed(page: found.number) {
      // Requests served meanwhile may have changed where the page is.
      cluster.claimCode(page: found.number, for: self)
      found = try fetchPage(pc)
    }
    decoded.enter(found.number, host: found.host, at: pc, view: view)
  }

  /// Decodes the instruction at `pc` and remembers it, unless it reaches into the next page.
  private func decode(_ pc: UInt64, into page: DecodedPages.Page) throws(Trap) -> Instruction {
    let offset = Int(pc & 0xFFE)
    var bits = UInt32(UInt16(littleEndian: page.host.load(fromByteOffset: offset, as: UInt16.self)))
    let isLong = bits & 3 == 3
    let isCut = isLong && offset == 0xFFE
    if isCut {
      bits |= UInt32(try fetchHalf(pc &+ 2)) << 16
    } else if isLong {
      bits |= UInt32(UInt16(littleEndian: page.host.load(fromByteOffset: offset + 2, as: UInt16.self))) << 16
    }
    var instruction = Decoder.decode(bits)
    instruction.reserved = Self.usesFloat(instruction) ? DecodedPages.usesFloat : 0
    if !isCut { page.slots[offset >> 1] = instruction }
    return instruction
  }

  /// Whether an instruction needs sstatus.FS to be other than Off.
  static func usesFloat(_ instruction: Instruction) -> Bool {
    switch instruction.operation {
    case .system: false
    case .load64, .loadFloat32: instruction.destination >= 32 || instruction.operation == .loadFloat32
    case .store32, .store64: instruction.b >= 32
    default:
      instruction.operation.rawValue >= Operation.floatAdd32.rawValue
        && instruction.operation.rawValue <= Operation.uint64ToFloat64.rawValue
    }
  }
}
