import Foundation
import HostPrograms
import Testing
import VolaryHost

struct ModuleTests {
  /// As depmod writes it for Debian's kernel, shortened.
  static let dependencies = ModuleDependencies(
    parsing: """
      kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/mbcache.ko.xz kernel/fs/jbd2/jbd2.ko.xz kernel/crypto/crc32c_generic.ko.xz
      kernel/fs/jbd2/jbd2.ko.xz: kernel/crypto/crc32c_generic.ko.xz
      kernel/fs/mbcache.ko.xz:
      kernel/lib/crc16.ko.xz:
      kernel/crypto/crc32c_generic.ko.xz:
      kernel/drivers/net/virtio_net.ko.xz: kernel/drivers/net/net_failover.ko.xz kernel/net/core/failover.ko.xz
      kernel/drivers/net/net_failover.ko.xz: kernel/net/core/failover.ko.xz
      kernel/net/core/failover.ko.xz:
      kernel/drivers/char/hw_random/virtio-rng.ko.xz:
      """)

  @Test(arguments: ["ext4", "virtio_net", "virtio_rng"]) func modulesFollowWhatTheyNeed(name: String) throws {
    let path = try #require(Self.dependencies.path(named: name))
    let order = Self.dependencies.insertionOrder([path])
    #expect(order.last == path)
    #expect(Set(order).count == order.count)
    var inserted: Set<String> = []
    for module in order {
      let needs = Self.dependencies.insertionOrder([module]).dropLast()
      #expect(inserted.isSuperset(of: needs), "\(module) before \(needs)")
      inserted.insert(module)
    }
  }

  @Test func insertionOrderIsDepmodsOwn() {
    let order = Self.dependencies.insertionOrder(
      ["kernel/drivers/net/virtio_net.ko.xz", "kernel/drivers/net/net_failover.ko.xz"])
    #expect(order.map(ModuleDependencies.name(ofPath:)) == ["failover", "net_failover", "virtio_net"])
    #expect(Self.dependencies.path(named: "virtio_console") == nil)
  }

  @Test(arguments: [
    ("kernel/fs/ext4/ext4.ko.xz", true), ("kernel/net/core/failover.ko.xz", false),
    ("kernel/drivers/net/tun.ko.xz", true), ("kernel/drivers/net/tuna.ko.xz", false),
    ("kernel/fscache/x.ko", false),
  ]) func listedModules(path: String, isListed: Bool) {
    #expect(KernelTree.isListed(path, in: ["fs", "drivers/net/tun"]) == isListed)
  }

  /// A relocatable file of the host's compiler: it must still link, and run as it did.
  @Test(.enabled(if: hasProgram("gcc"))) func strippedObjectStillLinks() throws {
    let folder = try TemporaryFolder()
    let source = folder.url.appendingPathComponent("object.c")
    try Data(
      """
      #include <stdio.h>
      static int table[4] = {3, 1, 4, 1};
      static int (*volatile chosen)(int);
      static int twice(int x) { return 2 * x; }
      static int pick(int x) {
        switch (x) { case 0: return 7; case 1: return 5; case 2: return 9; case 3: return 11; case 4: return 2; }
        return table[x & 3];
      }
      int main(void) {
        chosen = twice;
        for (int i = 0; i < 9; i++) printf("%d %d\\n", chosen(i), pick(i));
        return 0;
      }
      """.utf8
    ).write(to: source)
    // Named labels, as RISC-V's assembler leaves them.
    _ = try run("gcc", ["-O1", "-Wa,-L", "-c", "object.c", "-o", "object.o"], in: folder.url)
    let object = [UInt8](try Data(contentsOf: folder.url.appendingPathComponent("object.o")))
    let stripped = try #require(ModuleStripper.strip(object))
    try Data(stripped).write(to: folder.url.appendingPathComponent("stripped.o"))
    for name in ["object", "stripped"] {
      _ = try run("gcc", ["\(name).o", "-o", name], in: folder.url)
    }
    let expected = try run(folder.url.appendingPathComponent("object").path, [])
    #expect(try run(folder.url.appendingPathComponent("stripped").path, []) == expected)
    #expect(try symbolCount("stripped.o", in: folder) < symbolCount("object.o", in: folder))
  }

  private func symbolCount(_ file: String, in folder: TemporaryFolder) throws -> Int {
    String(decoding: try run("readelf", ["-sW", file], in: folder.url), as: UTF8.self)
      .split(separator: "\n").count
  }

  @Test(arguments: [[], Array("no ELF file".utf8), [UInt8](repeating: 0x7f, count: 200)])
  func otherFilesAreLeftAlone(file: [UInt8]) {
    #expect(ModuleStripper.strip(file) == nil)
  }

  @Test(.enabled(if: hasProgram("gcc"))) func damagedObjectsDoNotTrap() throws {
    let folder = try TemporaryFolder()
    let source = "extern int g(int);\nint f(int x) { return g(x) + g(1); }\n"
    try Data(source.utf8).write(to: folder.url.appendingPathComponent("a.c"))
    _ = try run("gcc", ["-c", "a.c"], in: folder.url)
    let object = [UInt8](try Data(contentsOf: folder.url.appendingPathComponent("a.o")))
    for length in stride(from: 0, to: object.count, by: 7) {
      _ = ModuleStripper.strip(Array(object[..<length]))
    }
    for position in object.indices {
      var damaged = object
      damaged[position] ^= 0xff
      _ = ModuleStripper.strip(damaged)
    }
    // Every section linked to every other: symbols whose names would be relocations once trapped.
    let table = (0..<8).reduce(0) { $0 | Int(object[0x28 + $1]) << (8 * $1) }
    let sections = Int(object[0x3c])
    for section in 0..<sections {
      for other in 0..<sections {
        var damaged = object
        damaged[table + 64 * section + 40] = UInt8(other)
        _ = ModuleStripper.strip(damaged)
      }
    }
  }
}
