internal import CHost

/// Which system calls a process may make, and with which arguments; the rest meets
/// ``defaultAction``. Assembles to a seccomp filter.
package struct SystemCallPolicy: Sendable {
  /// What the kernel does with a call (SECCOMP_RET_*).
  package enum Action: Equatable, Sendable {
    case allow
    /// The call fails with an error number and is not made.
    case refuse(Errno)
    /// The whole process dies of SIGSYS.
    case kill

    var word: UInt32 {
      switch self {
      case .allow: 0x7fff_0000
      case .refuse(let error): 0x0005_0000 | UInt32(error.code & 0xffff)
      case .kill: 0x8000_0000
      }
    }
  }

  /// A test of one argument (0…5).
  package enum Condition: Equatable, Sendable {
    /// The bits of `mask` in the low 32 bits are `value`. For arguments that the kernel reads as `int`,
    /// and for flags that lie in the low word.
    case bits(argument: UInt32, mask: UInt32, value: UInt32)
    /// All 64 bits are zero.
    case null(argument: UInt32)
  }

  private struct Rule: Sendable {
    let number: UInt32
    /// Any of them allows the call; none listed allows it always.
    let conditions: [Condition]
    let otherwise: Action
  }

  package let defaultAction: Action
  private var rules: [Rule] = []

  package init(defaultAction: Action) { self.defaultAction = defaultAction }

  /// Allows calls whatever their arguments. Names that this architecture does not have are passed over.
  package mutating func allow(_ names: String...) {
    for name in names { add(name, [], .allow) }
  }

  /// Allows a call where any of the conditions holds; otherwise it meets `action` (nil: the default).
  package mutating func allow(_ name: String, ifAny conditions: [Condition], otherwise action: Action? = nil)
  {
    add(name, conditions, action ?? defaultAction)
  }

  /// Lets a call fail harmlessly.
  package mutating func refuse(_ name: String, _ error: Errno) { add(name, [], .refuse(error)) }

  private mutating func add(_ name: String, _ conditions: [Condition], _ otherwise: Action) {
    let number = volary_system_call_number(name)
    precondition(number != -2, "the system call \(name) is in no list")
    if number >= 0 {
      rules.append(Rule(number: UInt32(number), conditions: conditions, otherwise: otherwise))
    }
  }

  // MARK: - Assembly

  /// Byte offsets into `struct seccomp_data`.
  private enum Offset {
    static let number: UInt32 = 0
    static let architecture: UInt32 = 4
    static func low(_ argument: UInt32) -> UInt32 { 16 + 8 * argument }
    static func high(_ argument: UInt32) -> UInt32 { 20 + 8 * argument }
  }

  /// The filter. Rules are tested in order, each in a few instructions, so that no jump is far.
  package func assemble() -> [BPFInstruction] {
    var program: [BPFInstruction] = [
      .load(Offset.architecture), .skip(1, ifEqual: volary_audit_architecture()), .end(.kill),
      .load(Offset.number),
    ]
    #if arch(x86_64)
      // The x32 calls: other numbers, some of them with other meanings.
      program += [.skip(1, unlessAtLeast: 0x4000_0000), .end(.kill)]
    #endif
    for rule in rules {
      let body = assemble(rule)
      program.append(.skip(UInt8(body.count), unlessEqual: rule.number))
      program += body
    }
    program.append(.end(defaultAction))
    return program
  }

  /// What follows when the number matched; always ends.
  private func assemble(_ rule: Rule) -> [BPFInstruction] {
    var body: [BPFInstruction] = []
    for condition in rule.conditions {
      switch condition {
      case .bits(let argument, let mask, let value):
        body.append(.load(Offset.low(argument)))
        if mask != .max { body.append(.and(mask)) }
        body += [.skip(1, unlessEqual: value), .end(.allow)]
      case .null(let argument):
        body += [
          .load(Offset.low(argument)), .skip(3, unlessEqual: 0),
          .load(Offset.high(argument)), .skip(1, unlessEqual: 0), .end(.allow),
        ]
      }
    }
    body.append(.end(rule.otherwise))
    return body
  }
}
