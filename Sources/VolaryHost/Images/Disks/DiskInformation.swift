package import DiskImages
import Glibc
package import Foundation
import HostSystem

/// What is known of an image file, as `volary image info` shows it.
package struct DiskInformation: Encodable, Sendable, Equatable {
  package var file: String
  package var format: String
  /// Bytes of the disk; nil when a file is missing that it is a layer over.
  package var size: Int64?
  /// Bytes of the file, and those that it takes on the host; a server does not say what its disk takes.
  package var fileSize: Int64
  package var storedSize: Int64
  /// Bytes of the disk that are not known to be zero.
  package var dataSize: Int64?
  /// What the file calls the image that it is a layer over, if it is one.
  package var backing: String?

  enum CodingKeys: String, CodingKey {
    case file, format, size, backing
    case fileSize = "file_size"
    case storedSize = "stored_size"
    case dataSize = "data_size"
  }

  package static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return encoder
  }

  /// Of a file and of the layers under it that are named, the topmost first.
  package static func layers(
    of path: String, format: DiskFormat?, backing: String?
  ) throws(ImageError) -> [DiskInformation] {
    if NBDLocation.isMeant(by: path) {
      let source = try DiskSource(path, format: format, backing: backing)
      let top = DiskInformation(
        file: path, format: source.format.rawValue, size: Int64(clamping: source.disk.size),
        fileSize: source.length, storedSize: source.stored, dataSize: try source.dataBytes(), backing: backing
      )
      guard let backing else { return [top] }
      return [top] + (try layers(of: backing, format: nil, backing: nil))
    }
    let descriptor = try DiskSource.open(path)
    var top: DiskInformation
    do throws(DiskImageError) {
      top = try known(path, descriptor, format)
    } catch {
      throw ImageError(disk: error)
    }
    let format = DiskFormat(rawValue: top.format) ?? .raw
    let base: (any DiskImage)? = if let backing { try DiskSource(backing).disk } else { nil }
    do throws(DiskImageError) {
      let disk = try DiskImages.open(
        format: format, descriptor: descriptor, name: path, readOnly: true, base: base)
      top.size = Int64(clamping: disk.size)
      top.backing = backing
    } catch {
      // Its size is not known, and the rest is.
      guard case .backingMissing(_, let named) = error else { throw ImageError(disk: error) }
      top.backing = named
    }
    if top.size != nil { top.dataSize = try DiskSource(path, format: format, backing: backing).dataBytes() }
    guard let backing else { return [top] }
    return [top] + (try layers(of: backing, format: nil, backing: nil))
  }

  /// What can be known of a file without its tables.
  private static func known(
    _ path: String, _ descriptor: Descriptor, _ format: DiskFormat?
  ) throws(DiskImageError) -> DiskInformation {
    let file = try HostFile(descriptor, name: path, readOnly: true)
    do throws(Errno) {
      let format = if let format { format } else { try DiskFormat.told(by: file) }
      return DiskInformation(
        file: path, format: format.rawValue, fileSize: Int64(clamping: try file.size()),
        storedSize: try descriptor.storedBytes())
    } catch {
      throw .system(name: path, operation: "read", error)
    }
  }
}
