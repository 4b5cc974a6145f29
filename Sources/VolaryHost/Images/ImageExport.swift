package import DiskImages
import Foundation
import HostSystem

/// Writes an image of the store as a file that other systems take.
package struct ImageExport {
  /// What a file is to be: a disk in some format, or a whole machine.
  package enum Kind: Equatable {
    case disk(DiskFormat)
    case ova

    /// By the name that a command line knows. Throws `usage`.
    package init(named name: String) throws(ImageError) {
      if name == "ova" {
        self = .ova
      } else {
        self = .disk(try DiskSource.format(named: name))
      }
    }

    /// How names of such files end.
    package var ending: String {
      switch self {
      case .ova: "ova"
      case .disk(let format): format.rawValue
      }
    }
  }

  package var cpus: Int?
  /// Bytes.
  package var memory: UInt64?
  package var replaces = false
  private let image: StoredImage

  package init(_ image: StoredImage) { self.image = image }

  /// Copies the image's disk. `progress` is told of bytes that are done and of all.
  package func run(
    as kind: Kind, to target: String, progress: @escaping (UInt64, UInt64) -> Void = { _, _ in }
  ) throws {
    guard let file = image.disk else { throw ImageError("the image \(image.record.name) has no disk") }
    let source = try DiskSource(file.path, format: .raw)
    switch kind {
    case .disk(let format):
      var conversion = DiskConversion(to: format)
      conversion.replaces = replaces
      try conversion.run(source, to: target, progress: progress)
    case .ova:
      let writer = OVAWriter(
        descriptor: descriptor(of: source), baseName: baseName(of: target),
        time: UInt64(max(0, image.record.createdAt.timeIntervalSince1970)))
      try NewFile.make(target, replaces: replaces) { new in
        let file: HostFile
        do throws(DiskImageError) {
          file = try HostFile(new.descriptor, name: target, readOnly: false)
        } catch { throw ImageError(disk: error) }
        try writer.write(source, to: file, progress: progress)
      }
    }
  }

  /// What files in an archive are called: as the archive, in letters that no system stumbles over.
  private func baseName(of target: String) -> String {
    let name = URL(fileURLWithPath: target).deletingPathExtension().lastPathComponent
    let plain = name.prefix(60).map {
      $0.isASCII && ($0.isLetter || $0.isNumber || $0 == ".") ? String($0) : "-"
    }
    return plain.isEmpty ? "machine" : plain.joined()
  }

  private func descriptor(of source: DiskSource) -> OVFDescriptor {
    var descriptor = OVFDescriptor(name: image.record.name)
    descriptor.cpus = cpus ?? image.record.cpus ?? 1
    descriptor.memory = memory ?? image.record.memory.map { UInt64(clamping: $0) } ?? 1 << 30
    descriptor.disks = [.init(capacity: source.disk.size, file: nil, format: .vmdk)]
    descriptor.networkCards = [.init(network: "NAT", address: nil)]
    descriptor.firmware = .efi
    // CIM_OperatingSystem.OSType: Linux 64-Bit.
    descriptor.systemType = 101
    descriptor.system = image.record.source
    return descriptor
  }
}
