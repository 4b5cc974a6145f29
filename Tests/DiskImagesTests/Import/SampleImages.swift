import DiskImages
import Foundation
import Glibc
import HostSystem

/// Images that qemu-img made of a known pattern, in a folder that goes with the value.
final class SampleImages {
  static let hasTool = HostTests.run("qemu-img --version") != nil
  static let skipped = "skipped: no qemu-img"

  let folder: String
  /// What the images hold.
  let pattern: [UInt8]

  /// Holes, text that packs well, and bytes of chance, in pieces that are no blocks of any format.
  static func pattern(size: Int, seed: UInt64) -> [UInt8] {
    var generator = Xorshift(seed: seed)
    var bytes = [UInt8](repeating: 0, count: size)
    var position = 0
    while position < size {
      let count = min(size - position, 512 * Int.random(in: 1...900, using: &generator))
      switch generator.next() % 3 {
      case 0:
        for index in position..<position + count {
          bytes[index] = UInt8(ascii: "a") + UInt8(index / 700 % 20)
        }
      case 1:
        for index in position..<position + count {
          bytes[index] = UInt8(truncatingIfNeeded: generator.next())
        }
      default: break
      }
      position += count
    }
    return bytes
  }

  private static let usualSize = 5 << 20 + 3 * 512
  private static let usual = pattern(size: usualSize, seed: 1)

  init(size: Int? = nil) throws {
    folder = temporaryPath("import-\(UUID().uuidString)")
    mkdir(folder, 0o700)
    pattern = size.map { Self.pattern(size: $0, seed: 1) } ?? Self.usual
    try Data(pattern).write(to: URL(fileURLWithPath: path("raw")))
  }

  deinit { _ = try? FileManager.default.removeItem(atPath: folder) }

  func path(_ name: String) -> String { "\(folder)/\(name)" }

  func bytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: path(name))))
  }

  func write(_ bytes: [UInt8], _ name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: path(name)))
  }

  /// Runs qemu-img in the folder.
  func tool(_ arguments: String) -> Bool { HostTests.run("cd \(folder) && qemu-img \(arguments)") != nil }

  func open(_ name: String, _ format: DiskFormat) throws -> any DiskImage {
    // Another test's child may have what was just written open still, with its lock, until it becomes a program.
    for _ in 0..<6000 {
      do throws(DiskImageError) {
        return try DiskImages.open(
          format: format, descriptor: Descriptor(owning: Glibc.open(path(name), O_RDONLY | O_CLOEXEC)),
          name: name,
          readOnly: true)
      } catch {
        guard case .inUse = error else { throw error }
        usleep(10_000)
      }
    }
    throw Errno.timedOut
  }

  static func open(_ bytes: [UInt8], _ format: DiskFormat) throws -> any DiskImage {
    try DiskImages.open(format: format, file: BytesFile(bytes, isReadOnly: true))
  }
}

extension DiskImage {
  var contents: [UInt8] { get throws { try bytes(0, Int(size)) } }

  /// The disk's contents by what its extents say, which have to be the same as by reading.
  func contentsByExtents() throws -> [UInt8] {
    var all = [UInt8](repeating: 0, count: Int(size))
    var position: UInt64 = 0
    while position < size {
      let extent = try extent(at: position, limit: size)
      guard extent.end > position, extent.end <= size else { throw Errno.invalid }
      if extent.content == .data {
        all.replaceSubrange(
          Int(position)..<Int(extent.end), with: try bytes(position, Int(extent.end - position)))
      }
      position = extent.end
    }
    return all
  }

  /// Bytes of the extents that hold data.
  func dataBytes() throws -> UInt64 {
    var position: UInt64 = 0
    var count: UInt64 = 0
    while position < size {
      let extent = try extent(at: position, limit: size)
      if extent.content == .data { count += extent.end - position }
      position = extent.end
    }
    return count
  }
}
