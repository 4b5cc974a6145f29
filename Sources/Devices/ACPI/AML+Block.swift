extension AML {
  /// Terms in order: the body of a definition block, a scope, a device or a method.
  package struct Block: Equatable, Sendable {
    package private(set) var bytes: [UInt8] = []

    package init() {}

    // MARK: - Namespace

    /// Goes on with the object of a name that exists.
    package mutating func scope(_ name: Name, _ build: (inout Block) -> Void) {
      enclose([Opcode.scope], name.bytes, build)
    }

    package mutating func device(_ name: Name, _ build: (inout Block) -> Void) {
      enclose(Opcode.device, name.bytes, build)
    }

    /// Gives an object a name.
    package mutating func name(_ name: Name, _ value: Term) {
      bytes += [Opcode.name] + name.bytes + value.bytes
    }

    /// Adds a method of up to seven arguments. One that declares names must not run twice at once
    /// (`isSerialized`).
    package mutating func method(
      _ name: Name, arguments: UInt8 = 0, isSerialized: Bool = false, _ build: (inout Block) -> Void
    ) {
      precondition(arguments <= 7, "a method has at most seven arguments")
      enclose([Opcode.method], name.bytes + [arguments | (isSerialized ? 1 << 3 : 0)], build)
    }

    /// Names a range of I/O ports, and in it fields of whole bytes, accessed by bytes, from the first on.
    package mutating func ports(_ name: Name, _ ports: Range<UInt16>, fields: [(Name, bytes: Int)]) {
      bytes += Opcode.operationRegion + name.bytes + [0x01]
      bytes += Term.integer(UInt64(ports.lowerBound)).bytes + Term.integer(UInt64(ports.count)).bytes
      let list = fields.flatMap { $0.0.singleSegment + packed(8 * $0.bytes) }
      bytes += Opcode.field + sized(name.bytes + [0x01] + list)
    }

    // MARK: - Statements

    package mutating func store(_ value: Term, in target: Term) {
      bytes += [Opcode.store] + value.bytes + target.bytes
    }

    /// Stores the bits that both have.
    package mutating func and(_ left: Term, _ right: Term, in target: Term) {
      bytes += [Opcode.and] + left.bytes + right.bytes + target.bytes
    }

    /// Stores the bits that either has.
    package mutating func or(_ left: Term, _ right: Term, in target: Term) {
      bytes += [Opcode.or] + left.bytes + right.bytes + target.bytes
    }

    /// Tells the driver of an object that something happened (section 5.6.6).
    package mutating func notify(_ object: Name, _ value: UInt64) {
      bytes += [Opcode.notify] + object.bytes + Term.integer(value).bytes
    }

    package mutating func `return`(_ value: Term) { bytes += [Opcode.return] + value.bytes }

    package mutating func `if`(_ condition: Term, _ build: (inout Block) -> Void) {
      enclose([Opcode.if], condition.bytes, build)
    }

    /// Follows an ``if(_:_:)``.
    package mutating func `else`(_ build: (inout Block) -> Void) { enclose([Opcode.else], [], build) }

    /// Names four bytes of a buffer.
    package mutating func field32(_ name: Name, of buffer: Term, at offset: UInt64) {
      bytes += [Opcode.createDoubleWordField] + buffer.bytes + Term.integer(offset).bytes + name.bytes
    }

    private mutating func enclose(
      _ opcode: [UInt8], _ head: [UInt8], _ build: (inout Block) -> Void
    ) {
      var inner = Block()
      build(&inner)
      bytes += opcode + sized(head + inner.bytes)
    }
  }
}
