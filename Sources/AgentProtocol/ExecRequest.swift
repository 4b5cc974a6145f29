/// A program that the agent is to run.
package struct ExecRequest: Equatable, Sendable {
  package struct Options: OptionSet, Sendable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }

    /// It gets a terminal, which is input, output and errors.
    package static let terminal = Options(rawValue: 1)
    /// There is no input: it reads an end.
    package static let noInput = Options(rawValue: 2)
  }

  package var options: Options
  /// Nil for root's.
  package var user: UInt32?
  /// Nil for the user's own.
  package var group: UInt32?
  /// Of the terminal; 0 where they are not known.
  package var columns: UInt16
  package var rows: UInt16
  /// Empty for the user's home.
  package var directory: [UInt8]
  /// NAME=VALUE each, over those of a user who logs in.
  package var environment: [[UInt8]]
  /// None means the user's login shell.
  package var arguments: [[UInt8]]

  package init(
    options: Options = [], user: UInt32? = nil, group: UInt32? = nil, columns: UInt16 = 0, rows: UInt16 = 0,
    directory: [UInt8] = [], environment: [[UInt8]] = [], arguments: [[UInt8]]
  ) {
    self.options = options
    self.user = user
    self.group = group
    self.columns = columns
    self.rows = rows
    self.directory = directory
    self.environment = environment
    self.arguments = arguments
  }

  /// (uid_t)-1 is no user's number.
  private static let nobody = UInt32.max

  package var encoded: [UInt8] {
    var writer = AgentWriter()
    writer.integer(options.rawValue)
    writer.integer(user ?? Self.nobody)
    writer.integer(group ?? Self.nobody)
    writer.integer(columns)
    writer.integer(rows)
    writer.string(directory)
    writer.strings(environment)
    writer.strings(arguments)
    return writer.bytes
  }

  package init(decoding bytes: [UInt8]) throws(AgentProtocolError) {
    var reader = AgentReader(bytes)
    options = Options(rawValue: try reader.integer())
    let user: UInt32 = try reader.integer()
    let group: UInt32 = try reader.integer()
    self.user = user == Self.nobody ? nil : user
    self.group = group == Self.nobody ? nil : group
    columns = try reader.integer()
    rows = try reader.integer()
    directory = try reader.string()
    environment = try reader.strings()
    arguments = try reader.strings()
    try reader.finish()
    // Ends of strings for the kernel, which would cut them there.
    for string in environment + arguments + [directory] where string.contains(0) { throw .badValue }
  }
}
