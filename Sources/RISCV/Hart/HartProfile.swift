package import HostSystem
package import Translator

/// What a hart counts while its machine is profiled. The hart's own thread writes; others read when it has ended.
package final class HartProfile {
  /// Loads and stores that generated code did not make in line, and those that ended in a trap.
  package fileprivate(set) var slowLoads: UInt64 = 0
  package fileprivate(set) var slowStores: UInt64 = 0
  package fileprivate(set) var faults: UInt64 = 0
  /// Instructions that generated code had carried out by the interpreter, by their operation; those of the
  /// operation `.system` by their ``SystemOperation`` instead.
  package fileprivate(set) var interpreted = [UInt64](repeating: 0, count: 256)
  package fileprivate(set) var system = [UInt64](repeating: 0, count: 256)
  /// Instructions that were interpreted instead of translated.
  package var coldInstructions: UInt64 = 0
  /// Traps by their cause's number.
  package private(set) var exceptions = [UInt64](repeating: 0, count: 64)
  package private(set) var interrupts = [UInt64](repeating: 0, count: 64)

  fileprivate typealias CallOutFunction =
    @convention(c) (UnsafeMutableRawPointer, UInt64, UInt64, UInt32) -> UInt64
  /// What generated code called before.
  fileprivate let plain: [CallOut: CallOutFunction]

  fileprivate init(_ context: Context) {
    plain = Dictionary(
      uniqueKeysWithValues: CallOut.allCases.map {
        let address = Int(context.word(ContextLayout.callOuts + $0.rawValue * 8).pointee)
        return ($0, unsafeBitCast(address, to: CallOutFunction.self))
      })
  }

  func countTrap(_ cause: UInt64) {
    if cause >> 63 != 0 { interrupts[Int(cause & 63)] += 1 } else { exceptions[Int(cause & 63)] += 1 }
  }

  fileprivate func count(_ instruction: Instruction) {
    if instruction.operation == .system {
      system[Int(instruction.info)] += 1
    } else {
      interpreted[Int(instruction.operation.rawValue)] += 1
    }
  }
}

extension Hart {
  /// Starts counting: before the hart runs. The functions that generated code calls out to are replaced by ones
  /// that count and then call them, so that a machine without a profile pays nothing.
  package func startProfile(_ profile: TranslationProfile) throws(Errno) {
    try profile.attach(context)
    self.profile = HartProfile(context)
    func install(_ callOut: CallOut, _ function: HartProfile.CallOutFunction) {
      context.word(ContextLayout.callOuts + callOut.rawValue * 8).pointee = UInt64(
        unsafeBitCast(function, to: UInt.self))
    }
    install(.load) { base, address, value, access in
      Hart.counting(base, .load, address, value, access) { $0.slowLoads += 1 }
    }
    install(.store) { base, address, value, access in
      Hart.counting(base, .store, address, value, access) { $0.slowStores += 1 }
    }
    install(.interpret) { base, address, index, access in
      let instruction = Hart.call(Context(base: base)) { $0.instructions?[Int(index)] }
      return Hart.counting(base, .interpret, address, index, access) { profile in
        if let instruction { profile.count(instruction) }
      }
    }
  }

  /// Counts a call-out, then makes it.
  private static func counting(
    _ base: UnsafeMutableRawPointer, _ callOut: CallOut, _ address: UInt64, _ value: UInt64, _ access: UInt32,
    _ count: (HartProfile) -> Void
  ) -> UInt64 {
    let context = Context(base: base)
    guard let profile = Hart.call(context, { $0.profile }), let plain = profile.plain[callOut] else {
      return 0
    }
    count(profile)
    let result = plain(base, address, value, access)
    if callOut != .interpret, context.half(ContextLayout.redirect).pointee != 0 { profile.faults += 1 }
    return result
  }
}

extension Lifter {
  /// What a block is called in profiles, by its address and its key with the mode.
  package static func name(ofBlockAt address: UInt64, key: UInt64) -> String {
    (key & BlockKey.supervisor != 0 ? "supervisor:" : "user:") + "0x" + String(address, radix: 16)
      + (key & BlockKey.floatOn != 0 ? "+float" : "")
  }
}
