internal import Synchronization
internal import Translator

/// Running a hart a piece at a time, on a thread of the caller's: to compare engines with each other, or
/// to look at a guest between two instructions. Nothing happens to the hart between two calls.
///
/// The cluster must count instructions (``HartCluster/countsInstructions``). An instruction that traps
/// counts as carried out.
extension Hart {
  /// What a hart does between two pieces: starts if it was asked to, serves requests, looks at its timer
  /// and takes the most urgent enabled interrupt. False while the hart is stopped.
  package func stepBoundary() -> Bool {
    enter()
    exitRequest.clear()
    guard startIfAsked() else { return false }
    serveRequests()
    checkTimer()
    takeInterrupt()
    return true
  }

  /// Runs one translated block, or what stands in its place: an instruction that only the interpreter
  /// can take, a trap at the fetch, making room in the code cache. Returns how many instructions that was.
  package func stepBlock() -> Int {
    counting {
      guard let code = cluster.code else { return }
      let key = blockKey
      if key == BlockKey.untranslated {
        _ = interpret(limit: 1)
        return
      }
      let pc = context.programCounter
      guard let entry = view.code(at: pc, key: key) ?? resolve(pc, key: key, code)?.code else { return }
      // Makes computed jumps, which know where other blocks are, leave too.
      exitRequest.set()
      switch code.run(entry, key: key, context: context) {
      case .dispatch: break
      case .site(let site), .interrupted(let site): context.programCounter = code.target(of: site)
      }
    }
  }

  /// Runs translated code, through as many blocks as there are, until it wants something looked at: after
  /// a trap, a system instruction or a request. Returns how many instructions that was.
  package func stepBlocks() -> Int {
    counting {
      if let code = cluster.code { runTranslated(code) }
    }
  }

  /// Ends ``stepBlocks()`` soon, at a place of chance; from any thread. A guest that waits for a clock which
  /// only advances between two pieces needs it.
  package func endStep() { exitRequest.set() }

  /// Interprets exactly `limit` instructions.
  package func stepInstructions(_ limit: Int) {
    var left = limit
    while left > 0 {
      exitRequest.clear()
      left -= interpret(limit: left)
    }
  }

  private func counting(_ body: () -> Void) -> Int {
    let count = context.word(ContextLayout.instructionsRetired)
    let before = count.pointee
    // Another hart may have run on this thread since.
    activateWindow()
    body()
    return Int(truncatingIfNeeded: count.pointee &- before)
  }
}
