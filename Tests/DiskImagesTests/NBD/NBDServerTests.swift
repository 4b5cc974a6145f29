import DiskImages
import Foundation
import Glibc
import HostPrograms
import HostSystem
import Synchronization
import Testing

/// Disks on servers that others wrote, and on one that loses whatever it may.
@Suite struct NBDServerTests {
  enum Kind: CaseIterable {
    case file, large, small, simple, qemu, qemuLayer, reordering, strict
  }

  static func server(_ kind: Kind, _ contents: [UInt8]) throws -> NBDServer {
    switch kind {
    case .file: return try .nbdkit(contents: contents)
    // Blocks that the server will not take parts of.
    case .large:
      return try .nbdkit(
        [
          "file", "DISK", "blocksize-minimum=4096", "blocksize-preferred=4096", "blocksize-maximum=65536",
          "blocksize-error-policy=error",
        ], filters: ["blocksize-policy"], contents: contents)
    // Zeroes are written, and nothing is known of what there is.
    case .small: return try .nbdkit(filters: ["nozero", "noextents"], contents: contents)
    case .simple: return try .nbdkit(["--no-sr", "file", "DISK"], contents: contents)
    case .qemu:
      return try NBDServer(
        "qemu-nbd", ["-k", "SOCKET", "-t", "-f", "raw", "--discard=unmap", "DISK"], contents: contents)
    case .qemuLayer:
      return try NBDServer(
        "qemu-storage-daemon",
        [
          "--blockdev", "driver=file,node-name=file,filename=DISK,discard=unmap",
          "--nbd-server", "addr.type=unix,addr.path=SOCKET",
          "--export", "type=nbd,id=e,node-name=file,name=,writable=on",
        ], contents: contents)
    case .reordering: return try .behaving("reorders", contents: contents)
    case .strict: return try .behaving("blocks-of-4096", contents: contents)
    }
  }

  @Test(arguments: Kind.allCases) func `random operations`(kind: Kind) throws {
    let contents = NBDModel.contents(1 << 20)
    let server = try Self.server(kind, contents)
    var model = NBDModel(contents, seed: 3)
    for _ in 0..<2 {
      let disk = try server.open()
      #expect(disk.size == 1 << 20 && !disk.isReadOnly)
      try model.operate(on: disk, steps: 250)
      try disk.flush()
      #expect(try model.matches(server.contents, at: 0))
    }
  }

  /// Every few requests the server is gone, with all that no flush made durable.
  @Test(arguments: 1...4) func `a server that dies again and again`(seed: UInt64) throws {
    let contents = NBDModel.contents(1 << 20)
    let server = try NBDServer.behaving("dies", seed: seed, contents: contents)
    var model = NBDModel(contents, seed: seed)
    var limits = NBDServer.limits
    // With little room, so that we flush too.
    if seed % 2 == 0 { limits.unflushed = 600 << 10 }
    let disk = try server.open(limits: limits)
    for _ in 0..<8 {
      try model.operate(on: disk, steps: 120)
      try disk.flush()
      #expect(try model.matches(server.contents, at: 0))
    }
  }

  /// Then each change is to be durable when it is answered.
  @Test func `a server that dies and knows no flush`() throws {
    let contents = NBDModel.contents(1 << 20)
    let server = try NBDServer.behaving("dies-and-knows-no-flush", seed: 3, contents: contents)
    var model = NBDModel(contents, seed: 3)
    let disk = try server.open()
    for _ in 0..<3 {
      try model.operate(on: disk, steps: 120)
      #expect(try model.matches(server.contents, at: 0))
      try disk.flush()
    }
  }

  @Test(arguments: [NBDServerTests.Kind.file, .qemu]) func `a server that is killed and comes back`(
    kind: Kind
  ) throws {
    let contents = NBDModel.contents(1 << 20)
    let server = try Self.server(kind, contents)
    let disk = try server.open()
    var model = NBDModel(contents, seed: 8)
    for round in 0..<5 {
      try model.operate(on: disk, steps: 40)
      server.kill()
      if round % 2 == 0 {
        try server.start()
      } else {
        // Somebody asks while it is gone.
        let late = try Thread.start(name: "late") { usleep(100_000 + UInt32(round) * 1000) }
        let failures = Counter()
        let thread = try Thread.start(name: "asks") {
          do { try disk.flush() } catch { failures.add() }
        }
        late.join()
        try server.start()
        thread.join()
        #expect(failures.value == 0)
      }
    }
    try model.operate(on: disk, steps: 40)
    try disk.flush()
    #expect(try model.matches(server.contents, at: 0))
  }

  @Test(arguments: ["", "dies", "blocks-of-4096"]) func `several threads`(behaviour: String) throws {
    // In pieces of blocks, too.
    let size = behaviour == "blocks-of-4096" ? 512 : 4096
    let contents = [UInt8](repeating: 0, count: 512 * size)
    let server =
      behaviour.isEmpty
      ? try NBDServer.nbdkit(filters: ["delay"], contents: contents)
      : try .behaving(behaviour, seed: 5, contents: contents)
    let disk = try server.open()
    let counter = Counter()
    let threads = try (0..<4).map { index in
      try Thread.start(name: "writer") {
        // Each has every fourth piece.
        do {
          for round in 1...3 {
            for piece in stride(from: index, to: 512, by: 4) {
              let bytes = [UInt8](repeating: UInt8(index * 50 + round), count: size)
              try disk.write(bytes, at: UInt64(piece * size))
              if piece % 32 == index, try disk.bytes(UInt64(piece * size), size) != bytes { counter.add() }
              if piece % 64 == index { try disk.flush() }
            }
          }
        } catch { counter.add() }
      }
    }
    for thread in threads { thread.join() }
    #expect(counter.value == 0)
    try disk.flush()
    let found = try server.contents
    #expect((0..<512).allSatisfy { found[$0 * size] == UInt8($0 % 4 * 50 + 3) })
  }

  final class Counter: Sendable {
    private let count = Mutex(0)
    func add() { count.withLock { $0 += 1 } }
    var value: Int { count.withLock { $0 } }
  }

  // MARK: - What exports may be

  @Test func `exports that are only read`() throws {
    let contents = NBDModel.contents(1 << 20)
    let server = try NBDServer.nbdkit(["-r", "file", "DISK"], contents: contents)
    #expect {
      try server.open()
    } throws: { "\($0)".contains("lets nobody write it: open it read-only") }
    let disk = try server.open(readOnly: true)
    #expect(throws: Errno(EROFS)) { try disk.write([1], at: 0) }
    #expect(throws: Errno(EROFS)) { try disk.discard(at: 0, count: 1) }
    try disk.flush()
    #expect(try disk.bytes(0, 1 << 20) == contents)
    #expect(throws: Errno.invalid) { try disk.bytes(1, 1 << 20) }
    #expect(throws: Errno.invalid) { try disk.bytes(.max, 1) }
  }

  @Test(arguments: [false, true]) func `a disk whose last sector is not whole`(isQEMU: Bool) throws {
    let contents = (0..<1300).map { UInt8(truncatingIfNeeded: $0 | 1) }
    let server =
      isQEMU
      ? try NBDServer.behaving("well", contents: contents) : try NBDServer.nbdkit(contents: contents)
    #expect { try server.open() } throws: { "\($0)".contains("1300 bytes, not a multiple of 512") }
    let disk = try server.open(readOnly: true)
    #expect(disk.size == 1536)
    #expect(try disk.bytes(0, 1536) == contents + [UInt8](repeating: 0, count: 236))
    #expect(try disk.bytes(1290, 20) == contents[1290...] + [UInt8](repeating: 0, count: 10))
    var position: UInt64 = 0
    while position < 1536 { position = try disk.extent(at: position, limit: 1536).end }
    #expect(position == 1536)
  }

  @Test func `extents`() throws {
    let hole = [UInt8](repeating: 0, count: 1 << 20)
    let data = [UInt8](repeating: 7, count: 1 << 20)
    let server = try NBDServer.behaving("well", contents: hole + data + hole)
    let disk = try server.open()
    #expect(try disk.extent(at: 0, limit: 3 << 20) == DiskExtent(.zero, end: 1 << 20))
    #expect(try disk.extent(at: 512, limit: 1024) == DiskExtent(.zero, end: 1024))
    #expect(try disk.extent(at: 1 << 20, limit: 3 << 20) == DiskExtent(.data, end: 2 << 20))
    #expect(try disk.extent(at: 2 << 20, limit: 3 << 20) == DiskExtent(.zero, end: 3 << 20))
    #expect(throws: Errno.invalid) { try disk.extent(at: 3 << 20, limit: 4 << 20) }
  }

  @Test func `exports by name`() throws {
    let server = try NBDServer(
      "qemu-nbd", ["-k", "SOCKET", "-t", "-e", "2", "-f", "raw", "-x", "a name/ä", "DISK"],
      contents: NBDModel.contents(4096))
    let place = "nbd+unix:///a%20name%2f%C3%A4?socket=\(server.socket)"
    let disk = try NBDImage(NBDLocation(place), readOnly: false)
    #expect(disk.size == 4096)
    #expect {
      try NBDImage(NBDLocation("nbd+unix:///other?socket=\(server.socket)"), readOnly: true)
    } throws: { "\($0)".hasPrefix("cannot use nbd+unix:///other?socket=") }
  }

  // MARK: - Sockets, time, errors

  @Test func `a socket that was handed over, and no other`() throws {
    let contents = NBDModel.contents(1 << 20)
    let server = try NBDServer.nbdkit(contents: contents)
    let disk = try NBDImage(socket: server.location.connect(), export: "", name: "disk", readOnly: false)
    #expect(try disk.bytes(0, 1 << 20) == contents)
    server.kill()
    #expect(throws: Errno.io) { try disk.bytes(0, 512) }
    #expect(throws: Errno.io) { try disk.flush() }
  }

  @Test func `a socket that somebody else gets`() throws {
    let contents = NBDModel.contents(1 << 20)
    let server = try NBDServer.nbdkit(contents: contents)
    let counter = Counter()
    let location = try server.location
    let disk = try NBDImage(
      socket: server.location.connect(), export: "", name: "disk", readOnly: false, limits: NBDServer.limits
    ) { () throws(Errno) in
      counter.add()
      return try location.connect()
    }
    try disk.write([UInt8](repeating: 5, count: 4096), at: 4096)
    server.kill()
    try QCOW2Tools.write(contents, to: server.disk)
    try server.start()
    try disk.flush()
    #expect(counter.value > 0)
    // It was made again, for the server had forgotten it.
    #expect(try server.contents[4096..<8192].allSatisfy { $0 == 5 })
  }

  @Test func `a server that stops for good`() throws {
    let server = try NBDServer.nbdkit(contents: NBDModel.contents(1 << 20))
    var limits = NBDServer.limits
    limits.request = 700
    let disk = try server.open(limits: limits)
    try disk.write([1, 2, 3], at: 0)
    server.kill()
    #expect(throws: Errno.timedOut) { try disk.bytes(0, 512) }
    #expect(throws: Errno.timedOut) { try disk.write([1], at: 512) }
    try server.start()
    try disk.flush()
    #expect(try disk.bytes(0, 3) == [1, 2, 3])
  }

  @Test func `a way to connect that takes its time`() throws {
    let server = try NBDServer.nbdkit(contents: NBDModel.contents(1 << 20))
    var limits = NBDServer.limits
    limits.request = 300
    let goOn = Completion()
    let disk = try NBDImage(
      socket: server.location.connect(), export: "", name: "disk", readOnly: false, limits: limits
    ) { () throws(Errno) in
      goOn.wait()
      throw Errno(ECONNREFUSED)
    }
    server.kill()
    #expect(throws: Errno.timedOut) { try disk.bytes(0, 512) }
    #expect(throws: Errno.timedOut) { try disk.bytes(0, 512) }
    goOn.complete()
  }

  @Test func `a server that answers late`() throws {
    let server = try NBDServer.nbdkit(
      ["file", "DISK", "delay-read=30"], filters: ["delay"], contents: NBDModel.contents(1 << 20))
    var limits = NBDServer.limits
    limits.silence = 200
    limits.request = 900
    let disk = try server.open(limits: limits)
    #expect(throws: Errno.timedOut) { try disk.bytes(0, 512) }
    // What it takes in time it is asked for.
    try disk.write([UInt8](repeating: 9, count: 512), at: 0)
  }

  @Test(arguments: ["EIO", "ENOSPC", "EPERM", "ENOMEM", "EINVAL"])
  func `errors of a server`(name: String) throws {
    let server = try NBDServer.nbdkit(
      ["file", "DISK", "error=\(name)", "error-rate=100%", "error-file=DISK.fail"], filters: ["error"],
      contents: NBDModel.contents(1 << 20))
    let disk = try server.open()
    try disk.write([1], at: 0)
    try QCOW2Tools.write([], to: server.disk + ".fail")
    let expected = [
      "ENOSPC": Errno.noSpace, "EPERM": Errno(EPERM), "ENOMEM": .noMemory,
    ][name, default: .io]
    #expect(throws: expected) { try disk.bytes(0, 512) }
    #expect(throws: expected) { try disk.write([UInt8](repeating: 0, count: 512), at: 0) }
    #expect(throws: expected) { try disk.writeZeroes(at: 0, count: 512, mayUnmap: true) }
    unlink(server.disk + ".fail")
    #expect(try disk.bytes(0, 1) == [1])
    try disk.flush()
  }

  @Test func `flushes fail for good once something is lost`() throws {
    let server = try NBDServer.behaving("refuses-later", contents: NBDModel.contents(1 << 20))
    let disk = try server.open()
    for sector in 0..<3 { try disk.write([UInt8](repeating: 1, count: 512), at: UInt64(sector) * 512) }
    // The server has died, and will not take again what it had.
    #expect(throws: Errno.io) { try disk.flush() }
    #expect(throws: Errno.io) { try disk.flush() }
    #expect(try disk.bytes(0, 512).count == 512)
  }
}
