import Assembler
internal import Glibc

/// One call of the assembler and what a disassembler must make of its bytes.
struct EncodingCase: Sendable {
  /// The instruction in Intel syntax, as objdump prints it, with single blanks.
  let text: String
  let emit: @Sendable (inout X86Assembler) -> Void
}

/// Collects the cases of a group of instructions.
struct CaseList {
  private(set) var cases: [EncodingCase] = []

  mutating func add(_ text: String, _ emit: @escaping @Sendable (inout X86Assembler) -> Void) {
    cases.append(EncodingCase(text: text, emit: emit))
  }
}

/// A disassembled instruction.
struct Line: Equatable, Sendable {
  let offset: Int
  let text: String
}

enum Binutils {
  /// Disassembles raw x86-64 code with objdump. Blanks are single, comments are gone.
  static func disassemble(_ code: UnsafeRawBufferPointer) throws -> [Line] {
    try withTemporaryFile(code) { path in
      lines(try run("objdump -D -z -b binary -m i386:x86-64 -M intel --no-show-raw-insn \(path)"))
    }
  }

  /// Assembles Intel syntax with the GNU assembler, and returns where each instruction lies.
  static func assemble(_ source: String) throws -> [Line] {
    var source = ".intel_syntax noprefix\n" + source
    return try source.withUTF8 { bytes in
      try withTemporaryFile(UnsafeRawBufferPointer(bytes)) { path in
        _ = try run("as -o \(path).o \(path)")
        defer { unlink(path + ".o") }
        return lines(try run("objdump -d -z -M intel --no-show-raw-insn \(path).o"))
      }
    }
  }

  /// What follows the colon of `  1f:\tadd    rax,rcx        # …`, for every such line.
  private static func lines(_ listing: String) -> [Line] {
    var result: [Line] = []
    for line in listing.utf8.split(separator: UInt8(ascii: "\n")) {
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")),
        let tab = line.firstIndex(of: UInt8(ascii: "\t")), line.index(after: colon) == tab,
        let address = String(line[..<colon]),
        let offset = Int(address.drop(while: { $0 == " " }), radix: 16)
      else { continue }
      let instruction = line[line.index(after: tab)...].prefix { $0 != UInt8(ascii: "#") }
      let words = instruction.split(separator: UInt8(ascii: " ")).compactMap { String($0) }
      result.append(Line(offset: offset, text: words.joined(separator: " ")))
    }
    return result
  }

  private static func withTemporaryFile<Result>(
    _ content: UnsafeRawBufferPointer, _ body: (String) throws -> Result
  ) throws -> Result {
    var template = Array("/tmp/volary-assembler-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    guard descriptor >= 0 else { throw Failure(what: "mkstemp") }
    let path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    defer { unlink(path) }
    var written = 0
    while written < content.count {
      let count = write(descriptor, content.baseAddress! + written, content.count - written)
      guard count > 0 else { throw Failure(what: "write") }
      written += count
    }
    close(descriptor)
    return try body(path)
  }

  private static func run(_ command: String) throws -> String {
    guard let pipe = popen(command, "r") else { throw Failure(what: command) }
    var output: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&chunk, 1, chunk.count, pipe)
      if count == 0 { break }
      output += chunk[..<count]
    }
    guard pclose(pipe) == 0 else { throw Failure(what: command) }
    return String(decoding: output, as: UTF8.self)
  }

  struct Failure: Error {
    let what: String
  }
}
