extension PLIC {
  /// The controller's registers, gateways and wires. Bit `n % 32` of word `n / 32` stands for source `n`;
  /// source 0 does not exist, and its bits stay zero.
  package struct State: Codable, Equatable, Sendable {
    /// A priority for each source, 0 (never interrupts) to 7.
    package var priorities: [UInt32]
    /// Sources that wait for a claim (the IP bits).
    package var pending: [UInt32]
    /// Sources claimed and not completed: their gateways hold back.
    package var inService: [UInt32]
    /// The wires' levels.
    package var inputs: [UInt32]
    /// Each context's enable words, one context after the other.
    package var enables: [UInt32]
    /// Each context's threshold: only higher priorities interrupt.
    package var thresholds: [UInt32]

    static let highestPriority: UInt32 = 7

    /// After power-on, all wires low.
    init(sources: Int, contexts: Int) {
      let words = sources / 32 + 1
      priorities = [UInt32](repeating: 0, count: sources + 1)
      pending = [UInt32](repeating: 0, count: words)
      inService = [UInt32](repeating: 0, count: words)
      inputs = [UInt32](repeating: 0, count: words)
      enables = [UInt32](repeating: 0, count: words * contexts)
      thresholds = [UInt32](repeating: 0, count: contexts)
    }

    /// A state from a snapshot, fitted to a controller of this size.
    init(_ other: State, sources: Int, contexts: Int) {
      self.init(sources: sources, contexts: contexts)
      let words = pending.count
      priorities = Self.fit(other.priorities, to: priorities) { _, value in
        min(value, Self.highestPriority)
      }
      priorities[0] = 0
      pending = Self.fit(other.pending, to: pending) { $1 & Self.sourceMask($0, sources: sources) }
      inService = Self.fit(other.inService, to: inService) { $1 & Self.sourceMask($0, sources: sources) }
      inputs = Self.fit(other.inputs, to: inputs) { $1 & Self.sourceMask($0, sources: sources) }
      // A source is not pending while it is in service, and a high wire has made it one or the other.
      for word in pending.indices { pending[word] = (pending[word] | inputs[word]) & ~inService[word] }
      enables = Self.fit(other.enables, to: enables) {
        $1 & Self.sourceMask($0 % words, sources: sources)
      }
      thresholds = Self.fit(other.thresholds, to: thresholds) { _, value in
        min(value, Self.highestPriority)
      }
    }

    private static func fit(
      _ values: [UInt32], to shape: [UInt32], _ mask: (Int, UInt32) -> UInt32
    ) -> [UInt32] {
      shape.indices.map { $0 < values.count ? mask($0, values[$0]) : 0 }
    }

    /// The bits of a word that stand for sources.
    private static func sourceMask(_ word: Int, sources: Int) -> UInt32 {
      let last = sources - word * 32
      return (last >= 31 ? .max : (1 << UInt32(last + 1)) - 1) & (word == 0 ? ~1 : .max)
    }

    mutating func reset() {
      let inputs = self.inputs
      self = State(sources: priorities.count - 1, contexts: thresholds.count)
      self.inputs = inputs
      pending = inputs
    }

    // MARK: - Gateways

    /// Takes a wire's level. True if the source became pending.
    mutating func setInput(_ source: Int, level: Bool) -> Bool {
      let (word, bit) = (source / 32, 1 << UInt32(source % 32) as UInt32)
      guard (inputs[word] & bit != 0) != level else { return false }
      inputs[word] ^= bit
      // A source that is pending stays so when its wire falls: its handler finds out ("Interrupt Gateways").
      guard level, inService[word] & bit == 0, pending[word] & bit == 0 else { return false }
      pending[word] |= bit
      return true
    }

    /// The pending source of the highest priority that a context has enabled, the lowest number among
    /// equals, and its priority; zeros if there is none.
    private func candidate(for context: Int) -> (source: Int, priority: UInt32) {
      let words = pending.count
      var best = (source: 0, priority: 0 as UInt32)
      for word in 0..<words where pending[word] != 0 {
        var bits = pending[word] & enables[context &* words &+ word]
        while bits != 0 {
          let source = word &* 32 &+ bits.trailingZeroBitCount
          bits &= bits &- 1
          let priority = priorities[source]
          if priority > best.priority { best = (source, priority) }
        }
      }
      return best
    }

    /// Whether a context is to be interrupted ("Interrupt Notifications").
    func notifies(_ context: Int) -> Bool { candidate(for: context).priority > thresholds[context] }

    /// Gives a context its best source, or 0. The threshold does not count here ("Interrupt Claim Process").
    mutating func claim(by context: Int) -> Int {
      let source = candidate(for: context).source
      guard source != 0 else { return 0 }
      let (word, bit) = (source / 32, 1 << UInt32(source % 32) as UInt32)
      pending[word] &= ~bit
      inService[word] |= bit
      return source
    }

    /// Opens a source's gateway again; a wire that is high makes it pending at once: then true. A source
    /// that the context has not enabled is silently ignored ("Interrupt Completion").
    mutating func complete(_ source: UInt32, by context: Int) -> Bool {
      guard source < UInt32(priorities.count) else { return false }
      let (word, bit) = (Int(source / 32), 1 << (source % 32) as UInt32)
      guard enables[context * pending.count + word] & inService[word] & bit != 0 else { return false }
      inService[word] &= ~bit
      pending[word] |= inputs[word] & bit
      return inputs[word] & bit != 0
    }

    // MARK: - Registers

    func priority(of source: Int) -> UInt32 { source < priorities.count ? priorities[source] : 0 }

    mutating func setPriority(_ value: UInt32, of source: Int) {
      guard source > 0, source < priorities.count else { return }
      priorities[source] = value & Self.highestPriority
    }

    func pendingWord(_ word: Int) -> UInt32 { word < pending.count ? pending[word] : 0 }

    func enableWord(_ word: Int, of context: Int) -> UInt32 {
      word < pending.count ? enables[context * pending.count + word] : 0
    }

    mutating func setEnableWord(_ value: UInt32, _ word: Int, of context: Int) {
      guard word < pending.count else { return }
      enables[context * pending.count + word] =
        value & Self.sourceMask(word, sources: priorities.count - 1)
    }

    mutating func setThreshold(_ value: UInt32, of context: Int) {
      thresholds[context] = value & Self.highestPriority
    }
  }
}
