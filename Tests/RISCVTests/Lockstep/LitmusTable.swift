import Testing

/// A small program on several harts at once whose outcomes the memory model forbids or allows (unprivileged
/// specification, chapter "RVWMO"; the names are those of the literature). The harts work on two words, x and y,
/// which are zero at first and lie on lines of their own, and have two registers each for what they read.
struct Litmus: Sendable, CustomTestStringConvertible {
  /// How one round ended.
  struct Outcome: Hashable, Sendable {
    /// The two registers of each hart.
    var registers: [[UInt64]]
    var x: UInt64
    var y: UInt64
  }

  var name: String
  /// What each hart does in one round.
  var harts: [@Sendable (inout LockstepCode) -> Void]
  var isForbidden: @Sendable (Outcome) -> Bool
  var testDescription: String { name }

  // Registers of the harness: addresses of the words, results, constants.
  static let x: UInt32 = 8
  static let y: UInt32 = 9
  static let first: UInt32 = 12
  static let second: UInt32 = 13
  static let one: UInt32 = 20
  static let two: UInt32 = 21
}

extension LockstepCode {
  /// Makes the word at an address one, by a reserved load and a conditional store, however often that takes;
  /// overwrites x5 and x6.
  fileprivate mutating func setConditionally(_ address: UInt32) {
    let again = here()
    amo(0x1000_302F, 5, 0, address, aq: true, rl: true)
    amo(0x1800_302F, 6, Litmus.one, address, aq: true, rl: true)
    branch(.notEqual, 6, 0, to: again)
  }

  /// Tries once to add one to the word at an address: the old value in the first result, whether it failed in
  /// the second.
  fileprivate mutating func addConditionally(_ address: UInt32) {
    amo(0x1000_302F, Litmus.first, 0, address, aq: true, rl: true)
    addi(5, Litmus.first, 1)
    amo(0x1800_302F, Litmus.second, 5, address, aq: true, rl: true)
  }
}

extension Litmus {
  /// Each hart stores to one word and then loads the other, with `fence` in between: both cannot come too early.
  private static func storeBuffering(
    _ name: String, fence: @escaping @Sendable (inout LockstepCode) -> Void
  ) -> Litmus {
    Litmus(
      name: "store buffering, \(name)",
      harts: [
        { c in
          c.sd(one, x); fence(&c); c.ld(first, y)
        },
        { c in
          c.sd(one, y); fence(&c); c.ld(first, x)
        },
      ], isForbidden: { o in o.registers[0][0] == 0 && o.registers[1][0] == 0 })
  }

  /// The same with words of 32 bits.
  private static func storeBufferingOfWords(
    _ name: String, fence: @escaping @Sendable (inout LockstepCode) -> Void
  ) -> Litmus {
    Litmus(
      name: "store buffering of words, \(name)",
      harts: [
        { c in
          c.sw(one, x); fence(&c); c.lw(first, y)
        },
        { c in
          c.sw(one, y); fence(&c); c.lw(first, x)
        },
      ], isForbidden: { o in o.registers[0][0] == 0 && o.registers[1][0] == 0 })
  }

  /// What is allowed, and seen, when the fences are left out.
  static let unfenced = [
    storeBuffering("no fence") { _ in }, storeBufferingOfWords("no fence") { _ in },
  ]

  static let all: [Litmus] = [
    storeBuffering("fence rw,rw") { $0.fence(.rw, .rw) },
    storeBufferingOfWords("fence w,r") { $0.fence(.w, .r) },
    Litmus(
      name: "store buffering, exchanges",
      harts: [
        { c in
          c.amo(0x0800_302F, 0, one, x, aq: true, rl: true); c.ld(first, y)
        },
        { c in
          c.amo(0x0800_302F, 0, one, y, aq: true, rl: true); c.ld(first, x)
        },
      ], isForbidden: { o in o.registers[0][0] == 0 && o.registers[1][0] == 0 }),
    Litmus(
      name: "message passing, fences",
      harts: [
        { c in
          c.sd(one, x); c.fence(.w, .w); c.sd(one, y)
        },
        { c in
          c.ld(first, y); c.fence(.r, .r); c.ld(second, x)
        },
      ], isForbidden: { o in o.registers[1][0] == 1 && o.registers[1][1] == 0 }),
    Litmus(
      name: "message passing, release and acquire",
      harts: [
        { c in
          c.sd(one, x); c.amo(0x0800_302F, 0, one, y, rl: true)
        },
        { c in
          c.amo(0x1000_302F, first, 0, y, aq: true); c.ld(second, x)
        },
      ], isForbidden: { o in o.registers[1][0] == 1 && o.registers[1][1] == 0 }),
    Litmus(
      name: "load buffering",
      harts: [
        { c in
          c.ld(first, x); c.fence(.rw, .rw); c.sd(one, y)
        },
        { c in
          c.ld(first, y); c.fence(.rw, .rw); c.sd(one, x)
        },
      ], isForbidden: { o in o.registers[0][0] == 1 && o.registers[1][0] == 1 }),
    Litmus(
      name: "coherence of reads",
      harts: [
        { c in
          c.sd(one, x); c.sd(two, x)
        },
        { c in
          c.ld(first, x); c.ld(second, x)
        },
      ], isForbidden: { o in o.registers[1][0] > o.registers[1][1] || o.x != 2 }),
    Litmus(
      name: "R",
      harts: [
        { c in
          c.sd(one, x); c.fence(.rw, .rw); c.sd(one, y)
        },
        { c in
          c.sd(two, y); c.fence(.rw, .rw); c.ld(first, x)
        },
      ], isForbidden: { o in o.y == 2 && o.registers[1][0] == 0 }),
    Litmus(
      name: "2+2W",
      harts: [
        { c in
          c.sd(one, x); c.fence(.rw, .rw); c.sd(two, y)
        },
        { c in
          c.sd(one, y); c.fence(.rw, .rw); c.sd(two, x)
        },
      ], isForbidden: { o in o.x == 1 && o.y == 1 }),
    Litmus(
      name: "write to read causality",
      harts: [
        { c in c.sd(one, x) },
        { c in
          c.ld(first, x); c.fence(.rw, .rw); c.sd(first, y)
        },
        { c in
          c.ld(first, y); c.fence(.r, .r); c.ld(second, x)
        },
      ], isForbidden: { o in o.registers[1][0] == 1 && o.registers[2][0] == 1 && o.registers[2][1] == 0 }),
    Litmus(
      name: "independent reads of independent writes",
      harts: [
        { c in c.sd(one, x) },
        { c in c.sd(one, y) },
        { c in
          c.ld(first, x); c.fence(.r, .r); c.ld(second, y)
        },
        { c in
          c.ld(first, y); c.fence(.r, .r); c.ld(second, x)
        },
      ],
      isForbidden: { o in
        o.registers[2][0] == 1 && o.registers[2][1] == 0 && o.registers[3][0] == 1 && o.registers[3][1] == 0
      }),
    Litmus(
      name: "store buffering, reserved and conditional",
      harts: [
        { c in
          c.setConditionally(x); c.ld(first, y)
        },
        { c in
          c.setConditionally(y); c.ld(first, x)
        },
      ], isForbidden: { o in o.registers[0][0] == 0 && o.registers[1][0] == 0 }),
    Litmus(
      name: "message passing, reserved and conditional",
      harts: [
        { c in
          c.sd(one, x); c.setConditionally(y)
        },
        { c in
          c.amo(0x1000_302F, first, 0, y, aq: true); c.ld(second, x)
        },
      ], isForbidden: { o in o.registers[1][0] == 1 && o.registers[1][1] == 0 }),
    Litmus(
      name: "message passing, address dependency",
      harts: [
        { c in
          c.sd(one, x); c.fence(.w, .w); c.sd(one, y)
        },
        { c in
          c.ld(first, y)
          // Zero, and yet the load has to wait for what it is made of.
          c.word(LockstepCode.r(0x4033, second, first, first))
          c.add(second, second, x)
          c.ld(second, second)
        },
      ], isForbidden: { o in o.registers[1][0] == 1 && o.registers[1][1] == 0 }),
    Litmus(
      name: "message passing, fence.tso",
      harts: [
        { c in
          c.sd(one, x); c.word(0x8330_000F); c.sd(one, y)
        },
        { c in
          c.ld(first, y); c.word(0x8330_000F); c.ld(second, x)
        },
      ], isForbidden: { o in o.registers[1][0] == 1 && o.registers[1][1] == 0 }),
    Litmus(
      name: "load buffering, data dependency",
      harts: [
        { c in
          c.ld(first, x); c.sd(first, y)
        },
        { c in
          c.ld(first, y); c.addi(second, first, 1); c.sd(second, x)
        },
      ], isForbidden: { o in o.registers[0][0] > 1 || o.registers[1][0] != 0 || o.x != 1 }),
    Litmus(
      name: "S",
      harts: [
        { c in
          c.sd(two, x); c.fence(.w, .w); c.sd(one, y)
        },
        { c in
          c.ld(first, y); c.fence(.r, .w); c.sd(one, x)
        },
      ], isForbidden: { o in o.registers[1][0] == 1 && o.x == 2 }),
    Litmus(
      name: "coherence of a write and the own read",
      harts: [
        { c in
          c.sd(one, x); c.ld(first, x); c.ld(second, x)
        },
        { c in c.sd(two, x) },
      ],
      isForbidden: { o in
        let (first, second) = (o.registers[0][0], o.registers[0][1])
        // One's own write, or what came after it; and not back again.
        return first == 0 || (first == 2 && second != 2) || (second == 1 && first != 1)
          || (second == 2 && o.x == 1)
      }),
    Litmus(
      name: "coherence of a read and the own write",
      harts: [
        { c in
          c.ld(first, x); c.sd(one, x)
        },
        { c in c.sd(two, x) },
      ], isForbidden: { o in o.registers[0][0] == 1 || (o.registers[0][0] == 2 && o.x != 1) }),
    Litmus(
      name: "coherence of exchanges",
      harts: [
        { c in c.amo(0x302F, first, one, x) }, { c in c.amo(0x302F, first, one, x) },
        { c in c.amo(0x302F, first, one, x) },
      ], isForbidden: { o in o.x != 3 || Set(o.registers.map { $0[0] }) != [0, 1, 2] }),
    Litmus(
      name: "one try of reserved and conditional each",
      harts: [
        { c in c.addConditionally(x) }, { c in c.addConditionally(x) }, { c in c.addConditionally(x) },
      ],
      // As many were added as conditionals held, each on a value of its own.
      isForbidden: { o in
        let held = o.registers.filter { $0[1] == 0 }
        return o.x != UInt64(held.count) || Set(held.map { $0[0] }).count != held.count
      }),
    Litmus(
      name: "a write between reserved and conditional",
      harts: [
        { c in c.addConditionally(x) },
        { c in
          c.sd(two, x); c.fence(.rw, .rw); c.ld(first, x)
        },
      ],
      // The write is not lost: it comes before, or the conditional fails, or it comes after.
      isForbidden: { o in
        let (old, failed) = (o.registers[0][0], o.registers[0][1] != 0)
        return failed ? o.x != 2 : old == 0 ? o.x != 2 : old != 2 || o.x != 3
      }),
  ]
}
