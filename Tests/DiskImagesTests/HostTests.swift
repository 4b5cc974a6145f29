import DiskImages
import Glibc
import HostSystem
import Synchronization
import Testing

/// What needs a real kernel object, and root to make it.
@Suite struct HostTests {
  /// Runs a program and returns the first line of its output, nil when it failed.
  static func run(_ command: String) -> String? {
    guard let pipe = popen(command + " 2>/dev/null", "r") else { return nil }
    var line = [CChar](repeating: 0, count: 512)
    let hasLine = fgets(&line, 512, pipe) != nil
    guard pclose(pipe) == 0 else { return nil }
    return hasLine ? String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map(UInt8.init), as: UTF8.self) : ""
  }

  @Test func `a block device`() throws {
    let path = temporaryPath("block")
    defer { unlink(path) }
    try Descriptor.open(path, O_RDWR | O_CREAT).truncate(to: 4 << 20)
    guard geteuid() == 0, let device = Self.run("losetup -f --show \(path)"), !device.isEmpty else {
      print("skipped: no loop device can be set up here")
      return
    }
    defer { _ = Self.run("losetup -d \(device)") }
    do {
      let disk = try DiskImages.open(
        format: .raw, descriptor: .open(device, O_RDWR), name: device, readOnly: false)
      #expect(disk.size == 4 << 20)
      try disk.write([UInt8](repeating: 3, count: 8192), at: 1 << 20)
      try disk.writeZeroes(at: 1 << 20 + 512, count: 512, mayUnmap: false)
      try disk.writeZeroes(at: 1 << 20 + 4096, count: 4096, mayUnmap: true)
      try disk.discard(at: 2 << 20, count: 1 << 20)
      try disk.flush()
    }
    // The file under the device has it.
    let file = try DiskImages.open(
      format: .raw, descriptor: .open(path, O_RDONLY), name: path, readOnly: true)
    let sector = { (byte: UInt8) in [UInt8](repeating: byte, count: 512) }
    #expect(try file.bytes(1 << 20, 512) == sector(3))
    #expect(try file.bytes(1 << 20 + 512, 512) == sector(0))
    #expect(try file.bytes(1 << 20 + 1024, 512) == sector(3))
    #expect(try file.bytes(1 << 20 + 4096, 512) == sector(0))
  }

  @Test func `a file system that is full`() throws {
    let opened = Mutex<Descriptor?>(nil)
    let directory = temporaryPath("full")
    mkdir(directory, 0o700)
    defer { rmdir(directory) }
    // A tmpfs in a mount namespace of one thread, gone with the descriptor.
    try Thread.start(name: "mounter") {
      guard leaveMountNamespace(),
        mount("none", "/", nil, UInt(MS_REC) | UInt(MS_PRIVATE), nil) == 0,
        mount("tmpfs", directory, "tmpfs", 0, "size=64k") == 0
      else { return }
      let descriptor = try? DiskImages.temporaryFile(in: directory)
      opened.withLock { $0 = descriptor }
    }.join()
    guard let descriptor = opened.withLock({ $0 }) else {
      print("skipped: no tmpfs can be mounted here")
      return
    }
    let base = try OpeningTests.base(7, size: 1 << 20)
    try DiskImages.createOverlay(descriptor: descriptor, name: "full", base: base)
    let disk = try OpeningTests.open(descriptor, base: base)
    var written: UInt64 = 0
    let error = #expect(throws: Errno.self) {
      while written < 1 << 20 {
        try disk.write([UInt8](repeating: 1, count: 4096), at: written)
        written += 4096
      }
    }
    #expect(error == .noSpace)
    #expect(written > 0)
    #expect(try disk.bytes(written, 4096) == [UInt8](repeating: 7, count: 4096), "the base still shows")
    #expect(throws: Errno.noSpace, "the bitmap has no room yet") { try disk.flush() }
    try disk.discard(at: 0, count: 8192)
    try disk.flush()
    let again = try OpeningTests.open(descriptor, base: base)
    #expect(try again.bytes(0, 8192) == [UInt8](repeating: 0, count: 8192))
    #expect(try again.bytes(8192, 4096) == [UInt8](repeating: 1, count: 4096))
  }
}

/// unshare(2), which the Glibc module does not show.
private func leaveMountNamespace() -> Bool {
  guard let symbol = dlsym(nil, "unshare") else { return false }
  let unshare = unsafeBitCast(symbol, to: (@convention(c) (Int32) -> Int32).self)
  return unshare(0x0002_0200 /* CLONE_NEWNS | CLONE_FS */) == 0
}
