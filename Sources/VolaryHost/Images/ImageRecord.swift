package import Foundation

/// An image of the store, as its `image.json` and `volary image list -f json` show it.
package struct ImageRecord: Codable, Sendable, Equatable {
  /// Grows when a reader of older records could misread a newer one.
  /// Images without a kernel came with the second.
  package static let currentVersion = 2

  package var version = 1
  package var name: String
  package var architecture: GuestArchitecture
  package var createdAt: Date
  /// What it was made from, in words: `Debian 13 (trixie)`, `imported`.
  package var source: String
  /// Bytes of the kernel file; nil when there is none, and ``firmware`` starts what the disk has.
  package var kernelSize: Int64?
  /// Bytes of the initial RAM disk; nil when there is none.
  package var initrdSize: Int64?
  /// Bytes of the root disk as the guest sees it; nil when there is none.
  package var diskSize: Int64?
  /// Bytes that all the files take on the host.
  package var storedSize: Int64
  /// The release of the kernel, as `uname -r` says it in the guest.
  package var kernelRelease: String?
  /// Packages and their versions, sorted by name.
  package var packages: [String: String]?
  /// Seconds that the build took.
  package var buildSeconds: Double?
  /// The ``ImageRecipe`` of an image that was built.
  package var recipe: String?
  /// What starts the disk of an image without a kernel: `uefi`.
  package var firmware: String?
  /// What the machine had that the image was made from, where that is known: processors, and bytes of memory.
  package var cpus: Int?
  package var memory: Int64?

  package init(
    name: String, architecture: GuestArchitecture, createdAt: Date, source: String, kernelSize: Int64?,
    initrdSize: Int64? = nil, diskSize: Int64? = nil, storedSize: Int64, kernelRelease: String? = nil,
    packages: [String: String]? = nil
  ) {
    self.name = name
    self.architecture = architecture
    self.createdAt = createdAt
    self.source = source
    self.kernelSize = kernelSize
    self.initrdSize = initrdSize
    self.diskSize = diskSize
    self.storedSize = storedSize
    self.kernelRelease = kernelRelease
    self.packages = packages
  }

  enum CodingKeys: String, CodingKey {
    case version, name, architecture, source, packages, recipe, firmware, cpus, memory
    case createdAt = "created_at"
    case kernelSize = "kernel_size"
    case initrdSize = "initrd_size"
    case diskSize = "disk_size"
    case storedSize = "stored_size"
    case kernelRelease = "kernel_release"
    case buildSeconds = "build_seconds"
  }

  package static var encoder: JSONEncoder {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    encoder.dateEncodingStrategy = .iso8601
    return encoder
  }

  package static var decoder: JSONDecoder {
    let decoder = JSONDecoder()
    decoder.dateDecodingStrategy = .iso8601
    return decoder
  }
}

/// An image's record and files.
package struct StoredImage: Sendable {
  package let record: ImageRecord
  package let folder: URL

  /// Nil when the image has none, and firmware starts it.
  package var kernel: URL? {
    record.kernelSize == nil ? nil : folder.appendingPathComponent(ImageStore.kernelFile)
  }
  /// Nil when the image has none.
  package var initrd: URL? {
    record.initrdSize == nil ? nil : folder.appendingPathComponent(ImageStore.initrdFile)
  }
  /// The raw root disk; nil when the image has none. Shared by machines: to be written over a copy.
  package var disk: URL? {
    record.diskSize == nil ? nil : folder.appendingPathComponent(ImageStore.diskFile)
  }
}
