import System

/// A program that was started for the host: its process, and this side's ends of its streams.
struct Job {
  let process: Int
  /// Where its input is written to; the terminal's master side serves for all. Nil when it has none.
  var input: Int?
  let output: Int
  /// Nil at a terminal.
  let errors: Int?
  let isTerminal: Bool

  /// Starts it. What hinders the program itself is told among its errors, as a shell does, with 126 or 127 as its code.
  init(_ request: ExecRequest) throws(Failure) {
    isTerminal = request.options.contains(.terminal)
    let account = Account(user: request.user ?? 0, group: request.group)
    if isTerminal {
      let (master, name) = try Self.openTerminal()
      Self.setSize(master, columns: request.columns, rows: request.rows)
      (input, output, errors) = (master, master, nil)
      process = try Self.fork { () throws(Failure) in
        try Kernel.call(AGENT_SYS_setsid)
        let terminal = try Kernel.open(name, Kernel.OpenFlags.readWrite)
        // TIOCSCTTY: it becomes the session's own.
        try Kernel.call(AGENT_SYS_ioctl, terminal, 0x540e, 0)
        try Kernel.withPath(name) { (path) throws(Failure) in
          _ = agent_call(AGENT_SYS_fchownat, Kernel.atCurrentDirectory, path, Int(account.user), -1, 0, 0)
        }
        try Self.run(request, account, streams: (terminal, terminal, terminal))
      }
      return
    }
    let nothing = try Kernel.open([UInt8]("/dev/null"), Kernel.OpenFlags.readWrite)
    defer { Kernel.close(nothing) }
    let hasInput = !request.options.contains(.noInput)
    let source = hasInput ? try Kernel.pipe() : (read: nothing, write: -1)
    let out = try Kernel.pipe()
    let err = try Kernel.pipe()
    process = try Self.fork { () throws(Failure) in
      try Kernel.call(AGENT_SYS_setsid)
      try Self.run(request, account, streams: (source.read, out.write, err.write))
    }
    if hasInput { Kernel.close(source.read) }
    Kernel.close(out.write)
    Kernel.close(err.write)
    (input, output, errors) = (hasInput ? source.write : nil, out.read, err.read)
  }

  private static func fork(_ body: () throws(Failure) -> Void) throws(Failure) -> Int {
    let process = agent_fork()
    if process < 0 { throw Failure(code: -process) }
    if process > 0 { return process }
    do throws(Failure) { try body() } catch { Kernel.exit(126) }
    Kernel.exit(0)
  }

  // MARK: - The terminal

  private static func openTerminal() throws(Failure) -> (master: Int, name: [UInt8]) {
    let master = try Kernel.open(
      [UInt8]("/dev/ptmx"), Kernel.OpenFlags.readWrite | Kernel.OpenFlags.noTerminal)
    var unlocked: Int32 = 0
    var number: Int32 = 0
    // TIOCSPTLCK, TIOCGPTN (ioctl_tty(2)).
    withUnsafeMutablePointer(to: &unlocked) {
      Kernel.attempt(AGENT_SYS_ioctl, master, 0x4004_5431, Int(bitPattern: $0))
    }
    let result = withUnsafeMutablePointer(to: &number) {
      agent_call(AGENT_SYS_ioctl, master, 0x8004_5430, Int(bitPattern: $0), 0, 0, 0)
    }
    if result < 0 {
      Kernel.close(master)
      throw Failure(code: -result)
    }
    return (master, [UInt8]("/dev/pts/") + [UInt8](decimal: Int(number)))
  }

  static func setSize(_ terminal: Int, columns: UInt16, rows: UInt16) {
    guard columns > 0, rows > 0 else { return }
    var size = agent_window_size(rows: rows, columns: columns, width: 0, height: 0)
    // TIOCSWINSZ: the program gets SIGWINCH.
    withUnsafeMutablePointer(to: &size) {
      Kernel.attempt(AGENT_SYS_ioctl, terminal, 0x5414, Int(bitPattern: $0))
    }
  }

  // MARK: - In the new process

  private static func run(
    _ request: ExecRequest, _ account: Account, streams: (Int, Int, Int)
  ) throws(Failure) -> Never {
    // None of these is one of the first three already: the agent has those open.
    try Kernel.call(AGENT_SYS_dup3, streams.0, 0, 0)
    try Kernel.call(AGENT_SYS_dup3, streams.1, 1, 0)
    try Kernel.call(AGENT_SYS_dup3, streams.2, 2, 0)
    // What the agent and who started it do not heed, the program does: a shell has what it starts beside itself
    // ignore interrupts.
    for signal in 1...64 { Kernel.handle(signal, by: 0) }
    Kernel.unblockSignals()
    try become(account)
    let environment = self.environment(request, account)
    enter(request.directory, account)
    var arguments = request.arguments
    var program: [UInt8]
    if arguments.isEmpty {
      program = account.shell
      // A shell whose name begins with a hyphen is one for somebody who logs in.
      arguments = [[45] + (program.split(at: 47).last ?? program)]
    } else {
      program = arguments[0]
    }
    let failure = execute(program, arguments, environment)
    let isMissing = failure.code == Failure.notFound
    complain([UInt8]("volary: cannot run ") + program, failure)
    Kernel.exit(isMissing ? 127 : 126)
  }

  private static func become(_ account: Account) throws(Failure) {
    let groups = account.groups
    let result = groups.withUnsafeBytes {
      agent_call(AGENT_SYS_setgroups, groups.count, Int(bitPattern: $0.baseAddress), 0, 0, 0, 0)
    }
    if result < 0 { throw Failure(code: -result) }
    let group = Int(account.group)
    let user = Int(account.user)
    try Kernel.call(AGENT_SYS_setresgid, group, group, group)
    try Kernel.call(AGENT_SYS_setresuid, user, user, user)
  }

  private static func enter(_ directory: [UInt8], _ account: Account) {
    let wanted = directory.isEmpty ? account.home : directory
    do throws(Failure) {
      try Kernel.withPath(wanted) { (path) throws(Failure) in _ = try Kernel.call(AGENT_SYS_chdir, path) }
    } catch {
      // Nobody asked for a home that is not there.
      if !directory.isEmpty {
        complain([UInt8]("volary: cannot enter ") + directory, error)
        Kernel.exit(126)
      }
      Kernel.withRoot { Kernel.attempt(AGENT_SYS_chdir, $0) }
    }
  }

  private static func environment(_ request: ExecRequest, _ account: Account) -> [[UInt8]] {
    var all: [[UInt8]] = [
      [UInt8]("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
      [UInt8]("LANG=C.UTF-8"),
      [UInt8]("HOME=") + account.home,
      [UInt8]("USER=") + account.name,
      [UInt8]("LOGNAME=") + account.name,
      [UInt8]("SHELL=") + account.shell,
    ]
    for entry in request.environment {
      guard let end = entry.firstIndex(of: 61), end > 0 else { continue }
      let name = entry[...end]
      all.removeAll { $0.count >= name.count && $0[..<name.count] == name }
      all.append(entry)
    }
    return all
  }

  /// As execvp(3): a name without a slash is looked for in PATH, and what the kernel cannot run is a script for sh.
  private static func execute(
    _ program: [UInt8], _ arguments: [[UInt8]], _ environment: [[UInt8]]
  ) -> Failure {
    if program.contains(47) { return replace(program, arguments, environment) }
    let path = environment.first { $0.starts(with: "PATH=") }.map { Array($0[5...]) } ?? []
    var last = Failure(code: Failure.notFound)
    for folder in path.split(at: 58) where !program.isEmpty {
      let failure = replace((folder.isEmpty ? [46] : folder) + [47] + program, arguments, environment)
      if failure.code != Failure.notFound { last = failure }
    }
    return last
  }

  /// Returns when it could not be done.
  private static func replace(
    _ file: [UInt8], _ arguments: [[UInt8]], _ environment: [[UInt8]]
  ) -> Failure {
    let strings = StringTable(arguments)
    let variables = StringTable(environment)
    do throws(Failure) {
      try Kernel.withPath(file) { (path) throws(Failure) in
        _ = try Kernel.call(AGENT_SYS_execve, path, strings.address, variables.address)
      }
      return Failure(code: 0)
    } catch {
      guard error.code == Failure.noExecFormat, file != [UInt8]("/bin/sh") else { return error }
      let shell = [UInt8]("/bin/sh")
      return replace(shell, [shell, file] + arguments.dropFirst(), environment)
    }
  }

  private static func complain(_ what: [UInt8], _ failure: Failure) {
    let reason: [UInt8] =
      switch failure.code {
      case 2: [UInt8](": there is no such file\n")
      case 13: [UInt8](": it may not be run or entered by this user\n")
      case 20: [UInt8](": a part of the path is no directory\n")
      case 7: [UInt8](": its arguments are too long\n")
      default: [UInt8](": error ") + [UInt8](decimal: failure.code) + [10]
      }
    try? Kernel.writeAll(2, what + reason)
  }
}

extension Kernel {
  static func withRoot(_ body: (Int) -> Void) {
    let path: StaticString = "/"
    body(Int(bitPattern: path.utf8Start))
  }
}

/// Strings as execve(2) takes them. Never freed: the process becomes another program or ends.
private struct StringTable {
  let address: Int

  init(_ strings: [[UInt8]]) {
    let table = UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>.allocate(capacity: strings.count + 1)
    for (index, string) in strings.enumerated() {
      let copy = UnsafeMutablePointer<UInt8>.allocate(capacity: string.count + 1)
      for place in 0..<string.count { copy[place] = string[place] }
      copy[string.count] = 0
      table[index] = copy
    }
    table[strings.count] = nil
    address = Int(bitPattern: table)
  }
}
