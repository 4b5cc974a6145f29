import System

/// The guest's files by SFTP, version 3 (draft-ietf-secsh-filexfer-02), with the extensions of OpenSSH that clients use.
///
/// Requests are answered in their order. It is root's view: rights are the host's matter.
struct FileServer {
  /// Bytes of a request or an answer.
  private static let mostPacket = 256 << 10
  /// Bytes of a file in one answer.
  private static let mostData = 128 << 10
  private static let mostHandles = 256
  /// Names of a folder in one answer.
  private static let namesAtOnce = 100

  private enum Handle {
    case file(Int, appends: Bool)
    case folder(Int, path: [UInt8], left: [[UInt8]], isRead: Bool)
  }

  private let input: Int
  private let output: Int
  private var received: [UInt8]
  private var handles: [Handle?] = []

  /// `received` are bytes that came with what was in front of the first packet.
  init(input: Int, output: Int, received: [UInt8] = []) {
    self.input = input
    self.output = output
    self.received = received
  }

  mutating func run() {
    // Its own files have the rights that are asked for, no fewer.
    Kernel.attempt(AGENT_SYS_umask, 0)
    Kernel.withRoot { Kernel.attempt(AGENT_SYS_chdir, $0) }
    while let packet = nextPacket() {
      guard let answer = answer(packet) else { return }
      var framed = FilePacket()
      framed.integer(UInt32(answer.count))
      guard (try? Kernel.writeAll(output, framed.bytes + answer)) != nil else { return }
    }
  }

  /// Nil at the end, or when what came is no packet.
  private mutating func nextPacket() -> [UInt8]? {
    while true {
      if received.count >= 4 {
        let length =
          Int(received[0]) << 24 | Int(received[1]) << 16 | Int(received[2]) << 8 | Int(received[3])
        guard length >= 1, length <= Self.mostPacket else { return nil }
        if received.count >= 4 + length {
          let packet = Array(received[4..<4 + length])
          received.removeFirst(4 + length)
          return packet
        }
      }
      guard let more = try? Kernel.read(input, 256 << 10), !more.isEmpty else { return nil }
      received.append(contentsOf: more)
    }
  }

  // MARK: - Requests

  private mutating func answer(_ packet: [UInt8]) -> [UInt8]? {
    if packet[0] == FilePacketKind.initialize {
      var version = FilePacket()
      version.byte(FilePacketKind.version)
      version.integer(UInt32(3))
      for (name, data) in FileMessage.extensions {
        version.string([UInt8](name))
        version.string([UInt8](data))
      }
      return version.bytes
    }
    var reader = FilePacketReader(packet, from: 1)
    guard let id = try? reader.integer() else { return nil }
    do throws(Failure) { return try carryOut(packet[0], id, &reader) } catch {
      return FileMessage.status(id, of: error)
    }
  }

  private mutating func carryOut(
    _ kind: UInt8, _ id: UInt32, _ reader: inout FilePacketReader
  ) throws(Failure) -> [UInt8] {
    switch kind {
    case FilePacketKind.open: return FileMessage.handle(id, try openFile(&reader))
    case FilePacketKind.close:
      let number = try reader.handle()
      switch try handle(number) {
      case .file(let file, _): Kernel.close(file)
      case .folder(let folder, _, _, _): Kernel.close(folder)
      }
      handles[number] = nil
    case FilePacketKind.read: return try readFile(id, &reader)
    case FilePacketKind.write:
      let file = try file(&reader)
      let offset = try reader.offset()
      try write(try reader.string(), to: file, at: offset)
    case FilePacketKind.lstat:
      return FileMessage.attributes(id, try Kernel.status(try reader.path(), follows: false))
    case FilePacketKind.stat: return FileMessage.attributes(id, try Kernel.status(try reader.path()))
    case FilePacketKind.fstat:
      return FileMessage.attributes(id, try Kernel.status([], of: try file(&reader).descriptor))
    case FilePacketKind.setstat:
      let path = try reader.path()
      try FileAttributes(&reader).apply(to: path)
    case FilePacketKind.fsetstat:
      let file = try file(&reader)
      // By the name under which the kernel has it, so that there is one way for both.
      try FileAttributes(&reader).apply(to: [UInt8]("/proc/self/fd/") + [UInt8](decimal: file.descriptor))
    case FilePacketKind.opendir:
      let path = try reader.path()
      let folder = try Kernel.open(path, Kernel.OpenFlags.directory)
      return FileMessage.handle(id, try keep(.folder(folder, path: path, left: [], isRead: false)))
    case FilePacketKind.readdir: return try readFolder(id, try reader.handle())
    case FilePacketKind.remove: try onPath(AGENT_SYS_unlinkat, try reader.path())
    case FilePacketKind.mkdir:
      let path = try reader.path()
      let attributes = try FileAttributes(&reader)
      try onPath(AGENT_SYS_mkdirat, path, Int(attributes.permissions ?? 0o755) & 0o7777)
      // The size of a folder is nobody's to set.
      try attributes.apply(to: path, withSize: false)
    // AT_REMOVEDIR.
    case FilePacketKind.rmdir: try onPath(AGENT_SYS_unlinkat, try reader.path(), 0x200)
    case FilePacketKind.realpath: return FileMessage.name(id, try resolve(try reader.path()))
    case FilePacketKind.rename:
      // RENAME_NOREPLACE: what is there stays.
      try onPaths(AGENT_SYS_renameat2, try reader.path(), try reader.path(), flags: 1)
    case FilePacketKind.readlink: return FileMessage.name(id, try target(of: try reader.path()))
    case FilePacketKind.symlink:
      // In OpenSSH's order, which is the other way round than the draft's and what clients send.
      let target = try reader.path()
      let link = try reader.path()
      try Kernel.withPath(target) { (target) throws(Failure) in
        try Kernel.withPath(link) { (link) throws(Failure) in
          _ = try Kernel.call(AGENT_SYS_symlinkat, target, Kernel.atCurrentDirectory, link)
        }
      }
    case FilePacketKind.extended: return try carryOutExtended(id, &reader)
    default: return FileMessage.status(id, FileMessage.unsupported, "this is no request that is known here")
    }
    return FileMessage.status(id, FileMessage.ok, "done")
  }

  private mutating func carryOutExtended(
    _ id: UInt32, _ reader: inout FilePacketReader
  ) throws(Failure) -> [UInt8] {
    let name = try reader.string()
    if name == [UInt8]("posix-rename@openssh.com") {
      try onPaths(AGENT_SYS_renameat2, try reader.path(), try reader.path())
    } else if name == [UInt8]("hardlink@openssh.com") {
      try onPaths(AGENT_SYS_linkat, try reader.path(), try reader.path())
    } else if name == [UInt8]("fsync@openssh.com") {
      try Kernel.call(AGENT_SYS_fsync, try file(&reader).descriptor)
    } else if name == [UInt8]("statvfs@openssh.com") {
      return FileMessage.space(id, try space(at: try reader.path()))
    } else {
      return FileMessage.status(id, FileMessage.unsupported, "this extension is not known here")
    }
    return FileMessage.status(id, FileMessage.ok, "done")
  }

  // MARK: - Handles

  private mutating func keep(_ handle: Handle) throws(Failure) -> Int {
    if let free = handles.firstIndex(where: { $0 == nil }) {
      handles[free] = handle
      return free
    }
    // EMFILE.
    guard handles.count < Self.mostHandles else { throw Failure(code: 24) }
    handles.append(handle)
    return handles.count - 1
  }

  private func handle(_ number: Int) throws(Failure) -> Handle {
    guard number < handles.count, let handle = handles[number] else { throw Failure(code: Failure.invalid) }
    return handle
  }

  private func file(_ reader: inout FilePacketReader) throws(Failure) -> (descriptor: Int, appends: Bool) {
    guard case .file(let file, let appends) = try handle(try reader.handle()) else {
      throw Failure(code: Failure.invalid)
    }
    return (file, appends)
  }

  // MARK: - Files

  private mutating func openFile(_ reader: inout FilePacketReader) throws(Failure) -> Int {
    let path = try reader.path()
    let wanted = Int(try reader.integer())
    let attributes = try FileAttributes(&reader)
    // SSH_FXF_READ 1, WRITE 2, APPEND 4, CREAT 8, TRUNC 16, EXCL 32.
    var flags = wanted & 2 == 0 ? 0 : wanted & 1 == 0 ? Kernel.OpenFlags.write : Kernel.OpenFlags.readWrite
    if wanted & 4 != 0 { flags |= Kernel.OpenFlags.append }
    if wanted & 8 != 0 { flags |= Kernel.OpenFlags.create }
    if wanted & 16 != 0 { flags |= Kernel.OpenFlags.truncate }
    if wanted & 32 != 0 { flags |= Kernel.OpenFlags.exclusive }
    // A pipe without a writer would hold up all.
    flags |= Kernel.OpenFlags.nonblocking | Kernel.OpenFlags.noTerminal
    let file = try Kernel.open(path, flags, mode: Int(attributes.permissions ?? 0o644) & 0o7777)
    do throws(Failure) { return try keep(.file(file, appends: wanted & 4 != 0)) } catch {
      Kernel.close(file)
      throw error
    }
  }

  private func readFile(_ id: UInt32, _ reader: inout FilePacketReader) throws(Failure) -> [UInt8] {
    let file = try file(&reader)
    let offset = try reader.offset()
    let count = min(Int(try reader.integer()), Self.mostData)
    let bytes = try Kernel.read(file.descriptor, max(count, 1), at: offset)
    if bytes.isEmpty { return FileMessage.status(id, FileMessage.end, "the end of the file") }
    var answer = FilePacket()
    answer.byte(FilePacketKind.data)
    answer.integer(id)
    answer.string(bytes)
    return answer.bytes
  }

  private func write(
    _ bytes: [UInt8], to file: (descriptor: Int, appends: Bool), at offset: Int
  ) throws(Failure) {
    var done = 0
    while done < bytes.count {
      let rest = bytes[done...]
      if file.appends {
        done += try Kernel.write(file.descriptor, rest)
        continue
      }
      let result = rest.withUnsafeBytes {
        agent_call(
          AGENT_SYS_pwrite, file.descriptor, Int(bitPattern: $0.baseAddress), $0.count, offset + done, 0, 0)
      }
      if result < 0, result != -Failure.interrupted { throw Failure(code: -result) }
      done += max(0, result)
    }
  }

  private mutating func readFolder(_ id: UInt32, _ number: Int) throws(Failure) -> [UInt8] {
    guard case .folder(let folder, let path, var left, var isRead) = try handle(number) else {
      throw Failure(code: Failure.invalid)
    }
    while left.isEmpty, !isRead {
      let piece = try Folder.read(folder)
      isRead = piece.isEmpty
      left = Folder.names(in: piece)
    }
    if left.isEmpty { return FileMessage.status(id, FileMessage.end, "the end of the folder") }
    let now = Array(left.prefix(Self.namesAtOnce))
    handles[number] = .folder(folder, path: path, left: Array(left.dropFirst(now.count)), isRead: isRead)
    return FileMessage.names(id, now, in: path)
  }

  // MARK: - Paths

  private func onPath(_ call: Int, _ path: [UInt8], _ flags: Int = 0) throws(Failure) {
    try Kernel.withPath(path) { (path) throws(Failure) in
      _ = try Kernel.call(call, Kernel.atCurrentDirectory, path, flags)
    }
  }

  private func onPaths(_ call: Int, _ one: [UInt8], _ other: [UInt8], flags: Int = 0) throws(Failure) {
    let here = Kernel.atCurrentDirectory
    try Kernel.withPath(one) { (one) throws(Failure) in
      try Kernel.withPath(other) { (other) throws(Failure) in
        _ = try Kernel.call(call, here, one, here, other, flags)
      }
    }
  }

  private func target(of link: [UInt8]) throws(Failure) -> [UInt8] {
    var target = [UInt8](repeating: 0, count: 4096)
    var length = 0
    try Kernel.withPath(link) { (link) throws(Failure) in
      length = target.withUnsafeMutableBytes {
        agent_call(
          AGENT_SYS_readlinkat, Kernel.atCurrentDirectory, link, Int(bitPattern: $0.baseAddress), $0.count, 0,
          0)
      }
      if length < 0 { throw Failure(code: -length) }
    }
    return Array(target[0..<length])
  }

  /// The path from the root on, without links where it leads to something.
  private func resolve(_ path: [UInt8]) throws(Failure) -> [UInt8] {
    if let file = try? Kernel.open(path.isEmpty ? [46] : path, Kernel.OpenFlags.path) {
      defer { Kernel.close(file) }
      if let real = try? target(of: [UInt8]("/proc/self/fd/") + [UInt8](decimal: file)) { return real }
    }
    var parts: [[UInt8]] = []
    for part in path.split(at: 47) where !part.isEmpty && part != [46] {
      if part == [46, 46] { _ = parts.popLast() } else { parts.append(part) }
    }
    return parts.isEmpty ? [47] : parts.flatMap { [47] + $0 }
  }

  private func space(at path: [UInt8]) throws(Failure) -> agent_statfs {
    var space = agent_statfs()
    try Kernel.withPath(path) { (path) throws(Failure) in
      let result = withUnsafeMutablePointer(to: &space) {
        agent_call(AGENT_SYS_statfs, path, Int(bitPattern: $0), 0, 0, 0, 0)
      }
      if result < 0 { throw Failure(code: -result) }
    }
    return space
  }
}

/// What getdents64(2) gives.
enum Folder {
  static func read(_ folder: Int) throws(Failure) -> [UInt8] {
    let size = 32 << 10
    let buffer = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
    defer { buffer.deallocate() }
    let length = try Kernel.call(AGENT_SYS_getdents, folder, Int(bitPattern: buffer), size)
    return Array(UnsafeRawBufferPointer(start: buffer, count: length))
  }

  /// Inode and offset (8 bytes each), the entry's length (2), its type (1), its name with a zero behind.
  static func names(in bytes: [UInt8]) -> [[UInt8]] {
    var names: [[UInt8]] = []
    var place = 0
    while place + 19 <= bytes.count {
      let length = Int(bytes[place + 16]) | Int(bytes[place + 17]) << 8
      guard length > 19, place + length <= bytes.count else { break }
      names.append(Array(bytes[place + 19..<place + length].prefix { $0 != 0 }))
      place += length
    }
    return names
  }
}
