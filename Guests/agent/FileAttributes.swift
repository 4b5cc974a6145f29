import System

/// What a client wants a file to be: what is nil stays.
struct FileAttributes {
  var size: Int?
  var owner: (user: UInt32, group: UInt32)?
  var permissions: UInt32?
  var times: (accessed: UInt32, modified: UInt32)?

  init(_ reader: inout FilePacketReader) throws(Failure) {
    let flags = try reader.integer()
    if flags & 1 != 0 { size = try reader.offset() }
    if flags & 2 != 0 { owner = (try reader.integer(), try reader.integer()) }
    if flags & 4 != 0 { permissions = try reader.integer() }
    if flags & 8 != 0 { times = (try reader.integer(), try reader.integer()) }
  }

  /// In an order in which what a change of owner takes away comes back.
  func apply(to path: [UInt8], withSize: Bool = true) throws(Failure) {
    let here = Kernel.atCurrentDirectory
    try Kernel.withPath(path) { (path) throws(Failure) in
      if let size, withSize { try Kernel.call(AGENT_SYS_truncate, path, size) }
      if let owner { try Kernel.call(AGENT_SYS_fchownat, here, path, Int(owner.user), Int(owner.group)) }
      if let permissions { try Kernel.call(AGENT_SYS_fchmodat, here, path, Int(permissions & 0o7777)) }
      if let times {
        var both = (
          agent_time(seconds: Int64(times.accessed), nanoseconds: 0),
          agent_time(seconds: Int64(times.modified), nanoseconds: 0)
        )
        let result = withUnsafeMutablePointer(to: &both) {
          agent_call(AGENT_SYS_utimensat, here, path, Int(bitPattern: $0), 0, 0, 0)
        }
        if result < 0 { throw Failure(code: -result) }
      }
    }
  }
}

/// A line as ls -l has it, with numbers for names, for clients that show what the server says.
enum ListingLine {
  static func line(_ name: [UInt8], _ status: agent_statx) -> [UInt8] {
    var line = kind(status.mode)
    for shift in [6, 3, 0] as [UInt16] {
      let bits = status.mode >> shift & 7
      line.append(bits & 4 != 0 ? 114 : 45)
      line.append(bits & 2 != 0 ? 119 : 45)
      line.append(bits & 1 != 0 ? 120 : 45)
    }
    line += padded(Int(status.links), 5) + padded(Int(status.user), 9) + padded(Int(status.group), 9)
    line +=
      padded(Int(truncatingIfNeeded: status.size), 13) + [32] + date(Int(status.modified.seconds)) + [32]
    return line + name
  }

  private static func kind(_ mode: UInt16) -> [UInt8] {
    switch mode >> 12 {
    case 1: [112]
    case 2: [99]
    case 4: [100]
    case 6: [98]
    case 10: [108]
    case 12: [115]
    default: [45]
    }
  }

  private static func padded(_ number: Int, _ width: Int) -> [UInt8] {
    let digits = [UInt8](decimal: number)
    return Array(repeating: 32, count: max(1, width - digits.count)) + digits
  }

  /// Year, month, day, hour and minute of UTC.
  private static func date(_ seconds: Int) -> [UInt8] {
    // Days since 1 March of the year 0, in eras of 400 years of the Gregorian calendar.
    let days = seconds / 86_400 + 719_468
    let era = days / 146_097
    let day = days % 146_097
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
    let dayOfYear = day - (365 * year + year / 4 - year / 100)
    let month = (5 * dayOfYear + 2) / 153
    func two(_ number: Int) -> [UInt8] { [UInt8(48 + number / 10 % 10), UInt8(48 + number % 10)] }
    let civilMonth = month < 10 ? month + 3 : month - 9
    let civilYear = era * 400 + year + (civilMonth <= 2 ? 1 : 0)
    let time = seconds % 86_400
    return [UInt8](decimal: civilYear) + [45] + two(civilMonth) + [45]
      + two(dayOfYear - (153 * month + 2) / 5 + 1)
      + [32] + two(time / 3600) + [58] + two(time / 60 % 60)
  }
}
