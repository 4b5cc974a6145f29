extension AML {
  /// Something that has a value: an object, or an expression (sections 20.2.3 and 20.2.5).
  package struct Term: Equatable, Sendable {
    let bytes: [UInt8]

    // MARK: - Objects

    /// A number, in the fewest bytes.
    package static func integer(_ value: UInt64) -> Term {
      let bytes: [UInt8] =
        switch value {
        case 0: [Opcode.zero]
        case 1: [Opcode.one]
        case .max: [Opcode.ones]
        case ...0xFF: [Opcode.byte] + [UInt8(value)]
        case ...0xFFFF: [Opcode.word] + UInt16(value).littleEndianBytes
        case ...0xFFFF_FFFF: [Opcode.doubleWord] + UInt32(value).littleEndianBytes
        default: [Opcode.quadWord] + value.littleEndianBytes
        }
      return Term(bytes: bytes)
    }

    /// ASCII text.
    package static func string(_ text: String) -> Term {
      precondition(text.utf8.allSatisfy { (0x01...0x7F).contains($0) }, "AML's strings are ASCII")
      return Term(bytes: [Opcode.string] + text.utf8 + [0])
    }

    package static func buffer(_ content: [UInt8]) -> Term {
      Term(bytes: [Opcode.buffer] + sized(integer(UInt64(content.count)).bytes + content))
    }

    package static func package(_ elements: [Term]) -> Term {
      precondition(elements.count < 256, "too many elements for a package")
      return Term(bytes: [Opcode.package] + sized([UInt8(elements.count)] + elements.flatMap(\.bytes)))
    }

    package static func resources(_ resources: [Resource]) -> Term {
      buffer(resources.flatMap(\.bytes) + Resource.end)
    }

    /// The number that a Plug and Play ID such as `PNP0501` is: three letters of five bits, four hexadecimal
    /// digits, the most significant byte first (section 19.6.37).
    package static func eisaID(_ text: String) -> Term {
      let letters = text.utf8.prefix(3)
      guard text.utf8.count == 7, letters.allSatisfy({ (0x41...0x5A).contains($0) }),
        let number = UInt32(text.dropFirst(3), radix: 16)
      else { preconditionFailure("\(text) is no Plug and Play ID") }
      let vendor = letters.reduce(0) { $0 << 5 | UInt32($1 & 0x1F) }
      return integer(UInt64((vendor << 16 | number).byteSwapped))
    }

    /// A UUID in a buffer; its first three numbers have the least significant byte first (section 19.6.142).
    package static func uuid(_ text: String) -> Term {
      let digits = text.utf8.filter { $0 != UInt8(ascii: "-") }
      let bytes = stride(from: 0, to: digits.count - 1, by: 2).compactMap {
        UInt8(String(decoding: digits[$0...$0 + 1], as: UTF8.self), radix: 16)
      }
      precondition(bytes.count == 16 && digits.count == 32, "\(text) is no UUID")
      return buffer([3, 2, 1, 0, 5, 4, 7, 6].map { bytes[$0] } + bytes[8...])
    }

    // MARK: - Expressions

    /// The object of a name: its value, or where a value goes.
    package static func named(_ name: Name) -> Term { Term(bytes: name.bytes) }

    /// A method's variable, 0 to 7.
    package static func local(_ number: UInt8) -> Term {
      precondition(number < 8, "a method has eight variables")
      return Term(bytes: [Opcode.local + number])
    }

    /// A method's argument, 0 to 6.
    package static func argument(_ number: UInt8) -> Term {
      precondition(number < 7, "a method has at most seven arguments")
      return Term(bytes: [Opcode.argument + number])
    }

    package static func and(_ left: Term, _ right: Term) -> Term {
      Term(bytes: [Opcode.and] + left.bytes + right.bytes + [0])
    }

    package static func or(_ left: Term, _ right: Term) -> Term {
      Term(bytes: [Opcode.or] + left.bytes + right.bytes + [0])
    }

    package static func equal(_ left: Term, _ right: Term) -> Term {
      Term(bytes: [Opcode.equal] + left.bytes + right.bytes)
    }

    package static func not(_ term: Term) -> Term { Term(bytes: [Opcode.not] + term.bytes) }
  }
}

extension AML.Term: ExpressibleByIntegerLiteral {
  package init(integerLiteral value: UInt64) { self = .integer(value) }
}

extension AML.Term: ExpressibleByStringLiteral {
  package init(stringLiteral text: String) { self = .string(text) }
}

extension FixedWidthInteger {
  /// The number's bytes, the least significant first.
  var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}
