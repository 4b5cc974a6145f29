import HostPrograms
import Machine
import Testing

/// State on its way to bytes and back, beside Python's cbor2.
@Suite struct CBORTests {
  struct Sample: Codable, Equatable {
    enum Word: String, Codable { case one, two }
    struct Inner: Codable, Equatable {
      var list: [UInt64]
      var maybe: Int8?
      var nothing: UInt16?
    }

    var flag: Bool
    var small: UInt8
    var large: UInt64
    var negative: Int64
    var text: String
    var word: Word
    var fraction: Double
    var inner: [Inner]
    var named: [String: UInt32]
    var bytes: StateBytes
  }

  static let sample = Sample(
    flag: true, small: 23, large: .max, negative: .min, text: "grün", word: .two, fraction: 0.1,
    inner: [.init(list: [0, 24, 256, 65_536, 1 << 32], maybe: -1, nothing: nil)], named: ["a": 1],
    bytes: StateBytes([1, 2, 255]))

  static func python(_ program: String, _ input: [UInt8]) throws -> String {
    let run = try ProgramRun("/usr/bin/python3", ["-c", "import sys, cbor2\n" + program])
    let outcome = try run.finish(input: input, within: 60)
    try #require(outcome.code == 0, "\(outcome.errors)")
    return outcome.output
  }

  @Test func comesBack() throws {
    let bytes = try CBOREncoder.encode(Self.sample).encoded()
    #expect(try CBORDecoder.decode(Sample.self, from: CBORValue(decoding: bytes)) == Self.sample)
  }

  @Test func anotherReaderReadsTheSame() throws {
    let bytes = try CBOREncoder.encode(Self.sample).encoded()
    let text = try Self.python("print(cbor2.loads(sys.stdin.buffer.read()))", bytes)
    #expect(
      text == """
        {'flag': True, 'small': 23, 'large': 18446744073709551615, 'negative': -9223372036854775808, 'text': 'grün', \
        'word': 'two', 'fraction': 0.1, 'inner': [{'list': [0, 24, 256, 65536, 4294967296], 'maybe': -1}], \
        'named': {'a': 1}, 'bytes': b'\\x01\\x02\\xff'}

        """)
  }

  /// What another writer wrote is read, and written the same.
  @Test func anotherWritersBytesAreTheSame() throws {
    let text = try Self.python(
      "print(cbor2.dumps([0, -1, 2**64-1, -2**64, 1000000, '', 'ü'*300, b'x'*70000, [], {}, {'a': [None, True, False]}, 1.1])"
        + ".hex())", [])
    let digits = Array(text.utf8.dropLast())
    let bytes = stride(from: 0, to: digits.count, by: 2).map {
      UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0
    }
    #expect(try CBORValue(decoding: bytes).encoded() == bytes)
  }

  @Test(
    arguments: [
      ([], CBORError.truncated), ([0x18], .truncated),
      ([0x5B, 255, 255, 255, 255, 255, 255, 255, 255], .truncated),
      ([0x9B, 255, 255, 255, 255, 255, 255, 255, 255], .truncated), ([0xBA, 255, 255, 255, 255], .truncated),
      ([0x9F, 0xFF], .unexpected(0x9F)), ([0xC0, 0x60], .unexpected(0xC0)), ([0, 0], .trailingBytes),
      ([0xA1, 0x01, 0x01], .unexpected(0)), ([0x61, 0xFF], .invalidText),
      ([0xA2, 0x61, 0x61, 0, 0x61, 0x61, 0], .keyTwice("a")),
      ([UInt8](repeating: 0x81, count: 100), .tooLarge),
    ] as [([UInt8], CBORError)])
  func refuses(bytes: [UInt8], error: CBORError) {
    #expect(throws: error) { try CBORValue(decoding: bytes) }
  }

  /// Any change of any byte is a value or an error, and never more than that.
  @Test func anythingMayCome() throws {
    let bytes = try CBOREncoder.encode(Self.sample).encoded()
    for place in bytes.indices {
      for value in [0, 0x1B, 0x5F, 0x7F, 0x9A, 0xBF, 0xF6, 0xFF, bytes[place] ^ 1, bytes[place] ^ 0x80]
        as [UInt8]
      {
        var changed = bytes
        changed[place] = value
        if let value = try? CBORValue(decoding: changed) {
          _ = try? CBORDecoder.decode(Sample.self, from: value)
        }
      }
      #expect(throws: CBORError.self) { try CBORValue(decoding: Array(bytes[..<place])) }
    }
  }
}
