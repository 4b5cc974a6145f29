import DiskImages
import HostSystem

/// Writes a machine as one archive (DSP0243, 5.3): descriptor, manifest, the disk as a stream-optimised image.
///
/// What comes first in the archive is known last, so its place is left, and filled in when the disk is written.
struct OVAWriter {
  /// Bytes that the descriptor gets; what it does not fill is white space.
  private static let descriptorRoom = 16 << 10

  /// The machine, of one disk.
  let descriptor: OVFDescriptor
  /// What files in the archive are called, without their endings.
  let baseName: String
  /// Of the archive's files, in seconds since 1970.
  let time: UInt64

  /// Writes to an empty file.
  func write(
    _ source: DiskSource, to file: any ImageFile, progress: (UInt64, UInt64) -> Void
  ) throws {
    let block = Int(TarArchive.blockSize)
    let diskName = "\(baseName)-disk1.vmdk"
    let manifestSize = manifest(
      descriptor: String(repeating: "0", count: 64), disk: String(repeating: "0", count: 64)
    )
    .utf8.count
    let manifestPlace = block + Self.descriptorRoom
    let diskPlace = manifestPlace + block + (manifestSize + block - 1) / block * block
    let sink = DigestSink(FileSink(file, from: UInt64(diskPlace + block)))
    let writer: StreamOptimisedWriter
    let end: UInt64
    do throws(Errno) {
      writer = try StreamOptimisedWriter(sink, size: source.disk.size, name: diskName)
    } catch { throw NewFile.failure(error, writing: file.name) }
    let counter = StoredBytes(writer)
    try DiskConversion.copy(source, to: counter, name: file.name, progress: progress)
    end = sink.target.position
    let diskSize = end - UInt64(diskPlace + block)
    var text = Array(descriptor.text(file: diskName, fileSize: diskSize, stored: counter.bytes).utf8)
    guard text.count <= Self.descriptorRoom else {
      throw ImageError("the machine's name is too long for a descriptor")
    }
    text += [UInt8](repeating: 0x0A, count: Self.descriptorRoom - text.count)
    var digest = Digest(.sha256)
    text.withUnsafeBytes { digest.add($0) }
    let manifest = Array(
      manifest(descriptor: digest.hexadecimal(), disk: sink.digest.hexadecimal()).utf8)
    do throws(Errno) {
      try write("\(baseName).ovf", text, to: file, at: 0)
      try write("\(baseName).mf", manifest, to: file, at: manifestPlace)
      try FileSink(file, from: UInt64(diskPlace)).append(
        TarHeader(name: diskName, size: diskSize, time: time).bytes)
      // Two blocks of zeroes end an archive, and tar fills up to ten kilobytes.
      let whole = (end + 2 * UInt64(block) + 10239) / 10240 * 10240
      try file.resize(to: whole)
      try file.sync()
    } catch { throw NewFile.failure(error, writing: file.name) }
  }

  private func manifest(descriptor: String, disk: String) -> String {
    "SHA256(\(baseName).ovf)= \(descriptor)\nSHA256(\(baseName)-disk1.vmdk)= \(disk)\n"
  }

  private func write(_ name: String, _ bytes: [UInt8], to file: any ImageFile, at place: Int) throws(Errno) {
    let sink = FileSink(file, from: UInt64(place))
    try sink.append(TarHeader(name: name, size: UInt64(bytes.count), time: time).bytes)
    try sink.append(bytes)
  }
}

/// A sink that makes a digest of what goes through it.
private final class DigestSink: ByteSink {
  let target: FileSink
  private(set) var digest = Digest(.sha256)

  init(_ target: FileSink) { self.target = target }

  func append(_ bytes: UnsafeRawBufferPointer) throws(Errno) {
    digest.add(bytes)
    try target.append(bytes)
  }
}

/// A writer that counts the bytes that are not zero.
private final class StoredBytes: ImageWriter {
  private let writer: any ImageWriter
  private(set) var bytes: UInt64 = 0
  var size: UInt64 { writer.size }

  init(_ writer: any ImageWriter) { self.writer = writer }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    bytes += UInt64(buffer.count)
    try writer.write(at: offset, from: buffer)
  }

  func finish() throws(Errno) { try writer.finish() }
}
