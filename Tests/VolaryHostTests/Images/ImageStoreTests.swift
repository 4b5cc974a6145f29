import Foundation
import HostPrograms
import Testing
import VolaryHost

struct ImageStoreTests {
  private let folder: TemporaryFolder
  private let store: ImageStore
  private let kernel: URL

  init() throws {
    folder = try TemporaryFolder()
    store = ImageStore(data: folder.url.appendingPathComponent("data"))
    kernel = folder.url.appendingPathComponent("Image")
    try Data(Self.kernelHeader).write(to: kernel)
  }

  /// The first bytes of Debian 13's riscv64 kernel.
  private static let kernelHeader: [UInt8] =
    [
      0x4d, 0x5a, 0x6f, 0x10, 0x60, 0x0d, 0x01, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0xb0, 0xe6, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x52, 0x49, 0x53, 0x43, 0x56, 0x00, 0x00, 0x00, 0x52, 0x53, 0x43, 0x05, 0x40, 0x00, 0x00, 0x00,
    ] + [UInt8](repeating: 0, count: 100)

  private func file(_ name: String, _ bytes: [UInt8]) throws -> URL {
    let file = folder.url.appendingPathComponent(name)
    try Data(bytes).write(to: file)
    return file
  }

  @Test func importedImageIsListedFoundAndRemoved() throws {
    let name = try ImageName("own/box")
    let disk = try file("disk", [UInt8](repeating: 1, count: 1024))
    let imported = try ImageImport(
      store: store, name: name, architecture: .riscv64, kernel: kernel, disk: disk
    ).run()
    #expect(try Data(contentsOf: #require(imported.disk)) == Data(contentsOf: disk))
    let found = try store.find(name, .riscv64)
    #expect(found.record.name == "own/box" && found.record.diskSize == 1024 && found.initrd == nil)
    #expect(store.list().map(\.record.name) == ["own/box"])
    try store.remove(name, .riscv64)
    #expect(store.list().isEmpty)
    let error = #expect(throws: ImageError.self) { try store.find(name, .riscv64) }
    #expect(error?.code == .notFound)
    #expect(try visibleFiles().isEmpty)
  }

  private func visibleFiles() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: store.folder.path).filter { $0 != ".lock" }
  }

  @Test func importDoesNotReplaceUnasked() throws {
    let name = try ImageName("box")
    let first = ImageImport(store: store, name: name, architecture: .riscv64, kernel: kernel)
    _ = try first.run()
    let error = #expect(throws: ImageError.self) { try first.run() }
    #expect(error?.code == .conflict)
    _ = try ImageImport(
      store: store, name: name, architecture: .riscv64, kernel: kernel, replaces: true
    ).run()
    #expect(try visibleFiles() == ["box_riscv64"])
  }

  @Test(arguments: [
    (
      "text", Array("not a kernel, whatever its name says; and long enough to hold a header".utf8),
      "raw Image"
    ),
    ("short", [0x4d, 0x5a], "raw Image"),
    ("gzip", [0x1f, 0x8b] + [UInt8](repeating: 0, count: 100), "compressed"),
  ]) func otherKernelsAreRefused(name: String, bytes: [UInt8], words: String) throws {
    let other = try file(name, bytes)
    let error = #expect(throws: ImageError.self) {
      try ImageImport(store: store, name: ImageName("x"), architecture: .riscv64, kernel: other).run()
    }
    #expect(error?.message.contains(words) == true)
    #expect(error?.message.contains(other.path) == true)
  }

  @Test func kernelOfAnotherArchitectureIsRefused() throws {
    let error = #expect(throws: ImageError.self) {
      try ImageImport(store: store, name: ImageName("x"), architecture: .arm64, kernel: kernel).run()
    }
    #expect(error?.message.hasSuffix("is for riscv64, not arm64") == true)
  }

  @Test(arguments: [[], [1, 2, 3], [0x51, 0x46, 0x49, 0xfb] + [UInt8](repeating: 0, count: 508)])
  func otherDisksAreRefused(bytes: [UInt8]) throws {
    let disk = try file("disk", bytes)
    #expect(throws: ImageError.self) {
      try ImageImport(
        store: store, name: ImageName("x"), architecture: .riscv64, kernel: kernel, disk: disk
      ).run()
    }
    #expect(store.list().isEmpty)
  }

  @Test func holesStayHoles() throws {
    let disk = folder.url.appendingPathComponent("sparse")
    try Data().write(to: disk)
    let handle = try FileHandle(forWritingTo: disk)
    try handle.truncate(atOffset: 1 << 30)
    try handle.close()
    let image = try ImageImport(
      store: store, name: ImageName("x"), architecture: .riscv64, kernel: kernel, disk: disk
    ).run()
    #expect(image.record.diskSize == 1 << 30)
    #expect(image.record.storedSize < 1 << 20)
  }

  @Test func leftoversGoAndTheLockIsHeldOnce() throws {
    let lock = try store.lock {}
    let staging = try store.makeStaging(room: 0)
    try Data("half".utf8).write(to: staging.appendingPathComponent("disk.raw"))
    #expect(store.list().isEmpty)
    store.removeLeftovers()
    #expect(try visibleFiles().isEmpty)
    let status = try? run("flock", ["-n", store.folder.appendingPathComponent(".lock").path, "true"])
    #expect(status == nil)
    withExtendedLifetime(lock) {}
  }

  @Test func tooLittleRoomIsSaidBeforehand() throws {
    let lock = try store.lock {}
    let error = #expect(throws: ImageError.self) { try store.makeStaging(room: .max) }
    #expect(error?.message.contains("VOLARY_DATA") == true)
    #expect(try visibleFiles().isEmpty)
    withExtendedLifetime(lock) {}
  }

  @Test(arguments: ["", "/", "a/", "/a", "..", "a/../b", "A", "a b", "a_b", "-f", "a\n"])
  func otherNamesAreRefused(text: String) {
    let error = #expect(throws: ImageError.self) { try ImageName(text) }
    #expect(error?.code == .usage)
  }

  @Test(arguments: [
    (["VOLARY_DATA": "/data"], "/data"), (["XDG_DATA_HOME": "/x"], "/x/volary"),
    (["XDG_DATA_HOME": "relative"], "/home/u/.local/share/volary"), ([:], "/home/u/.local/share/volary"),
    (["VOLARY_DATA": ""], "/home/u/.local/share/volary"),
  ]) func dataFolder(environment: [String: String], path: String) {
    #expect(DataDirectory.path(environment: environment, home: URL(fileURLWithPath: "/home/u")).path == path)
  }
}
