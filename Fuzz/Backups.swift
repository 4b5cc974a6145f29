import DiskImages
import Glibc
import HostSystem
import VolaryHost

/// Backups that somebody brought: packed or not, with files that their index does not tell of, and disks that are none.
extension FuzzTarget {
  static let backups = [FuzzTarget("backup", backup)]

  private static func backup(_ random: inout FuzzRandom) throws {
    let index = Array("{}".utf8) + [UInt8](repeating: 0x20, count: random.below(600))
    var disk = try exportedDisk()
    if random.once(in: 2) { random.mutate(&disk) }
    var files = [("index.yaml", index), ("disk.qcow2", disk)]
    if random.once(in: 8) { files.append(files[random.below(2)]) }
    var archive: [UInt8] = []
    for (name, bytes) in files {
      archive += TarHeader(name: name, size: UInt64(bytes.count), time: 0).bytes
      archive += bytes + [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
    }
    archive += [UInt8](repeating: 0, count: 1024)
    if random.once(in: 4) { random.mutate(&archive) }
    var packed = try pack(archive, ArchiveCompression.allCases[random.below(3)])
    if random.once(in: 3) { random.mutate(&packed) }
    let file = try Descriptor.memory(name: "fuzz")
    try packed.withUnsafeBytes { try file.writeAll($0) }
    let path = "/proc/self/fd/\(file.raw)"
    let other = "/tmp/volary-fuzz-\(getpid()).tar"
    unlink(other)
    defer { unlink(other) }
    let found = try BackupReader.index(of: path)
    let reader = try BackupReader(
      path, index: found, [.init(name: "disk.qcow2", size: UInt64(disk.count))], unpackingTo: other,
      room: HostRoom("/tmp")
    ) { _ in true }
    let layer = "/tmp/volary-fuzz-\(getpid()).raw"
    unlink(layer)
    defer { unlink(layer) }
    try DiskUnpacking.run(
      reader.file("disk.qcow2"), size: 300 << 10, to: layer, over: [], room: HostRoom("/tmp")
    ) { _ in true }
  }

  private static func pack(_ bytes: [UInt8], _ kind: ArchiveCompression) throws -> [UInt8] {
    final class Sink: ByteSink {
      var bytes: [UInt8] = []
      func append(_ more: UnsafeRawBufferPointer) throws(Errno) { bytes += more }
    }
    let sink = Sink()
    let packer = try PackingSink(sink, kind)
    try packer.append(bytes)
    try packer.finish()
    return sink.bytes
  }

  private static func exportedDisk() throws -> [UInt8] {
    let file = try HostFile(Descriptor.memory(name: "fuzz"), name: "fuzz", readOnly: false)
    let writer = try DiskImages.writer(format: .qcow2, file: file, size: 300 << 10)
    let bytes = [UInt8](repeating: 7, count: 70_144)
    try bytes.withUnsafeBytes { try writer.write(at: 65536, from: $0) }
    try writer.finish()
    return try file.contents(most: 4 << 20) ?? []
  }
}
