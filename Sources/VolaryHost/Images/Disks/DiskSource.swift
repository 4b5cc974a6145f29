package import DiskImages
import Glibc
import HostSystem

/// An image that a person named, in a file or on a server, opened to be read.
package struct DiskSource {
  package let path: String
  package let disk: any DiskImage
  package let format: DiskFormat
  /// Whether the format was told from the file's contents.
  package let isTold: Bool
  /// Bytes that the file has, and that it takes on the host.
  package let length: Int64
  package let stored: Int64

  /// Formats by the names that a command line knows.
  package static let formatNames = "raw, qcow2, vmdk, vdi, vhd, vhdx"

  /// The format of that name. Throws `usage`.
  package static func format(named name: String) throws(ImageError) -> DiskFormat {
    // QEMU's name for it.
    if name == "vpc" { return .vhd }
    guard let format = DiskFormat(rawValue: name), format != .overlay else {
      throw ImageError(.usage, "unknown disk format '\(name)'; known are \(formatNames)")
    }
    return format
  }

  /// Opens a file; without a format, in the one that its contents look like. A layer needs the image that it was
  /// made on, `backing`, which is never looked for. What is named as ``NBDLocation`` has it is a server's disk, which is
  /// raw unless a format is stated, for it is a guest's to write.
  package init(_ path: String, format: DiskFormat? = nil, backing: String? = nil) throws(ImageError) {
    if NBDLocation.isMeant(by: path) {
      try self.init(server: path, format: format ?? .raw, backing: backing)
    } else {
      try self.init(file: path, format: format, backing: backing)
    }
  }

  private init(server text: String, format: DiskFormat, backing: String?) throws(ImageError) {
    let base: (any DiskImage)? = if let backing { try DiskSource(backing).disk } else { nil }
    do throws(DiskImageError) {
      let whole = try NBDImage(NBDLocation(text), readOnly: true)
      length = Int64(clamping: whole.size)
      if format == .raw {
        guard base == nil else { throw .rawHasNoBase(name: text) }
        disk = whole
      } else {
        disk = try DiskImages.open(format: format, file: DiskFile(whole, name: text), base: base)
      }
    } catch {
      throw ImageError(disk: error)
    }
    self.format = format
    stored = length
    path = text
    isTold = false
  }

  private init(file path: String, format: DiskFormat?, backing: String?) throws(ImageError) {
    let base: (any DiskImage)? = if let backing { try DiskSource(backing).disk } else { nil }
    let descriptor = try Self.open(path)
    do throws(DiskImageError) {
      let file = try HostFile(descriptor, name: path, readOnly: true)
      self.format = try Self.told(format, file)
      length = try Self.length(of: file)
      disk = try DiskImages.open(
        format: self.format, descriptor: descriptor, name: path, readOnly: true, base: base)
    } catch {
      throw ImageError(disk: error)
    }
    stored = (try? descriptor.storedBytes()) ?? length
    self.path = path
    isTold = format == nil
  }

  /// A part of a package, which is only read; without a format, in the one that its contents look like, but never
  /// raw.
  init(_ file: any ImageFile, path: String, format: DiskFormat?) throws(ImageError) {
    do throws(DiskImageError) {
      self.format = try Self.told(format, file)
      length = try Self.length(of: file)
    } catch {
      throw ImageError(disk: error)
    }
    guard format != nil || self.format != .raw else {
      throw ImageError("\(path) is of a format that this program does not know")
    }
    do throws(DiskImageError) {
      disk = try DiskImages.open(format: self.format, file: file)
    } catch {
      throw ImageError(disk: error)
    }
    stored = length
    self.path = path
    isTold = format == nil
  }

  private static func told(_ format: DiskFormat?, _ file: any ImageFile) throws(DiskImageError) -> DiskFormat
  {
    if let format { return format }
    do { return try DiskFormat.told(by: file) } catch {
      throw .system(name: file.name, operation: "read", error)
    }
  }

  private static func length(of file: any ImageFile) throws(DiskImageError) -> Int64 {
    do { return Int64(clamping: try file.size()) } catch {
      throw .system(name: file.name, operation: "find the size of", error)
    }
  }

  static func open(_ path: String) throws(ImageError) -> Descriptor {
    do {
      // Not to wait for whoever writes to a pipe; what is no file is refused behind this.
      return try Descriptor.open(path, O_RDONLY | O_NONBLOCK)
    } catch {
      throw ImageError(.init(error), "cannot open \(path): \(error)")
    }
  }
}

extension ImageError.Code {
  /// The code for what the system would not do.
  init(_ error: Errno) {
    self = error == .notFound ? .notFound : error.isDenial ? .denied : .failed
  }
}

extension ImageError {
  package init(disk error: DiskImageError) {
    switch error {
    case .inUse: self.init(.conflict, error.description)
    case .backingMissing:
      self.init(.usage, error.description + "; --backing FILE names it")
    case .system(_, _, let number): self.init(.init(number), error.description)
    default: self.init(error.description)
    }
  }
}
