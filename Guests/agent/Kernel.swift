import System

/// An error number of the kernel's.
struct Failure: Error {
  let code: Int

  static let notFound = 2
  static let interrupted = 4
  static let noExecFormat = 8
  static let again = 11
  static let invalid = 22
}

/// The system calls, with their errors as errors.
enum Kernel {
  @discardableResult
  static func call(
    _ number: Int, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0, _ e: Int = 0, _ f: Int = 0
  ) throws(Failure) -> Int {
    while true {
      let result = agent_call(number, a, b, c, d, e, f)
      if result >= 0 || result < -4095 { return result }
      if -result != Failure.interrupted { throw Failure(code: -result) }
    }
  }

  /// For what may fail, and then is as it was.
  static func attempt(_ number: Int, _ a: Int = 0, _ b: Int = 0, _ c: Int = 0, _ d: Int = 0) {
    _ = agent_call(number, a, b, c, d, 0, 0)
  }

  static func exit(_ code: Int) -> Never {
    while true { _ = agent_call(AGENT_SYS_exit, code, 0, 0, 0, 0, 0) }
  }

  // MARK: - Descriptors

  static let atCurrentDirectory = -100

  struct OpenFlags {
    static let write = 1
    static let readWrite = 2
    static let create = 0o100
    static let exclusive = 0o200
    static let noTerminal = 0o400
    static let truncate = 0o1000
    static let append = 0o2000
    static let nonblocking = 0o4000
    static let directory = 0o200000
    static let closeOnExec = 0o2000000
    static let path = 0o10000000
  }

  static func open(_ path: [UInt8], _ flags: Int, mode: Int = 0) throws(Failure) -> Int {
    try withPath(path) { (path) throws(Failure) in
      try call(AGENT_SYS_openat, atCurrentDirectory, path, flags | OpenFlags.closeOnExec, mode)
    }
  }

  static func close(_ descriptor: Int) { attempt(AGENT_SYS_close, descriptor) }

  /// A pipe's ends, to read from and to write to.
  static func pipe() throws(Failure) -> (read: Int, write: Int) {
    var ends: (Int32, Int32) = (-1, -1)
    let result = withUnsafeMutablePointer(to: &ends) {
      agent_call(AGENT_SYS_pipe, Int(bitPattern: $0), OpenFlags.closeOnExec, 0, 0, 0, 0)
    }
    if result < 0 { throw Failure(code: -result) }
    return (Int(ends.0), Int(ends.1))
  }

  /// Up to `count` bytes; none at the end.
  static func read(_ descriptor: Int, _ count: Int) throws(Failure) -> [UInt8] {
    try read(count) { (address) throws(Failure) in try call(AGENT_SYS_read, descriptor, address, count) }
  }

  static func read(_ descriptor: Int, _ count: Int, at offset: Int) throws(Failure) -> [UInt8] {
    try read(count) { (address) throws(Failure) in
      try call(AGENT_SYS_pread, descriptor, address, count, offset)
    }
  }

  private static func read(
    _ count: Int, _ body: (Int) throws(Failure) -> Int
  ) throws(Failure) -> [UInt8] {
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: count, alignment: 16)
    defer { buffer.deallocate() }
    let length = try body(Int(bitPattern: buffer))
    return Array(UnsafeRawBufferPointer(start: buffer, count: length))
  }

  /// How much of the bytes was taken.
  static func write(_ descriptor: Int, _ bytes: ArraySlice<UInt8>) throws(Failure) -> Int {
    let result = bytes.withUnsafeBytes {
      agent_call(AGENT_SYS_write, descriptor, Int(bitPattern: $0.baseAddress), $0.count, 0, 0, 0)
    }
    if result == -Failure.interrupted { return 0 }
    if result < 0 { throw Failure(code: -result) }
    return result
  }

  static func writeAll(_ descriptor: Int, _ bytes: [UInt8]) throws(Failure) {
    var rest = bytes[...]
    while !rest.isEmpty { rest = rest.dropFirst(try write(descriptor, rest)) }
  }

  static func setNonblocking(_ descriptor: Int) {
    // FIONBIO, which needs no flags to be read first.
    var yes: Int32 = 1
    withUnsafeMutablePointer(to: &yes) { attempt(AGENT_SYS_ioctl, descriptor, 0x5421, Int(bitPattern: $0)) }
  }

  /// Waits until one of the descriptors is ready, or for so many milliseconds; without an end when negative.
  static func poll(_ entries: inout [agent_poll], milliseconds: Int = -1) throws(Failure) -> Int {
    var time = agent_time(
      seconds: Int64(milliseconds / 1000), nanoseconds: Int64(milliseconds % 1000) * 1_000_000)
    let result = entries.withUnsafeMutableBufferPointer { entries in
      withUnsafeMutablePointer(to: &time) {
        agent_call(
          AGENT_SYS_ppoll, Int(bitPattern: entries.baseAddress), entries.count,
          milliseconds < 0 ? 0 : Int(bitPattern: $0), 0, 8, 0)
      }
    }
    if result == -Failure.interrupted { return 0 }
    if result < 0 { throw Failure(code: -result) }
    return result
  }

  // MARK: - Paths and files

  /// Lends a path with the zero that the kernel wants behind it.
  static func withPath<Value>(
    _ path: [UInt8], _ body: (Int) throws(Failure) -> Value
  ) throws(Failure) -> Value {
    if path.contains(0) { throw Failure(code: Failure.invalid) }
    let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: path.count + 1)
    defer { copy.deallocate() }
    for index in 0..<path.count { copy[index] = path[index] }
    copy[path.count] = 0
    return try body(Int(bitPattern: copy))
  }

  /// What is at a path, or what an open file is when `path` is empty.
  static func status(
    _ path: [UInt8], of descriptor: Int = atCurrentDirectory, follows: Bool = true
  ) throws(Failure) -> agent_statx {
    // AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW; STATX_BASIC_STATS.
    let flags = (path.isEmpty ? 0x1000 : 0) | (follows ? 0 : 0x100)
    var status = agent_statx()
    try withPath(path) { (path) throws(Failure) in
      let result = withUnsafeMutablePointer(to: &status) {
        agent_call(AGENT_SYS_statx, descriptor, path, flags, 0x7ff, Int(bitPattern: $0), 0)
      }
      if result < 0 { throw Failure(code: -result) }
    }
    return status
  }

  /// A whole file of up to `most` bytes, such as those below /proc that have no size.
  static func content(_ path: [UInt8], most: Int = 1 << 20) throws(Failure) -> [UInt8] {
    let file = try open(path, 0)
    defer { close(file) }
    var content: [UInt8] = []
    while content.count < most {
      let piece = try read(file, 4096)
      if piece.isEmpty { break }
      content.append(contentsOf: piece)
    }
    return content
  }

  // MARK: - Signals

  enum Signals {
    static let hangUp = 1
    static let kill = 9
    static let pipe = 13
    static let child = 17
  }

  /// SIG_DFL 0, SIG_IGN 1.
  static func handle(_ signal: Int, by handler: Int) {
    var action = agent_signal_action()
    action.handler = handler
    withUnsafeMutablePointer(to: &action) {
      _ = agent_call(AGENT_SYS_rt_sigaction, signal, Int(bitPattern: $0), 0, 8, 0, 0)
    }
  }

  /// No signal is held back.
  static func unblockSignals() {
    var none: UInt64 = 0
    withUnsafeMutablePointer(to: &none) {
      _ = agent_call(AGENT_SYS_rt_sigprocmask, 2, Int(bitPattern: $0), 0, 8, 0, 0)
    }
  }

  /// The status of a child that has ended (wait(2)); nil while it runs.
  static func reap(_ process: Int, waits: Bool = false) -> Int? {
    var status: Int32 = 0
    let result = withUnsafeMutablePointer(to: &status) { pointer in
      (try? call(AGENT_SYS_wait4, process, Int(bitPattern: pointer), waits ? 0 : 1)) ?? -1
    }
    if result == 0 { return nil }
    return result < 0 ? 0 : Int(status)
  }
}

extension Array where Element == UInt8 {
  init(_ text: StaticString) {
    self = text.withUTF8Buffer { Array($0) }
  }

  /// The number in decimal digits.
  init(decimal number: Int) {
    var digits: [UInt8] = []
    var rest = number.magnitude
    repeat {
      digits.append(UInt8(48 + rest % 10))
      rest /= 10
    } while rest > 0
    if number < 0 { digits.append(45) }
    self = digits.reversed()
  }

  /// The number that the digits at the front make.
  var decimal: Int {
    var value = 0
    for digit in self {
      guard digit >= 48, digit <= 57, value < 1 << 50 else { break }
      value = value * 10 + Int(digit - 48)
    }
    return value
  }

  func split(at separator: UInt8) -> [[UInt8]] {
    var parts: [[UInt8]] = [[]]
    for byte in self {
      if byte == separator { parts.append([]) } else { parts[parts.count - 1].append(byte) }
    }
    return parts
  }

  func starts(with prefix: StaticString) -> Bool {
    let prefix = [UInt8](prefix)
    return count >= prefix.count && Array(self[0..<prefix.count]) == prefix
  }
}
