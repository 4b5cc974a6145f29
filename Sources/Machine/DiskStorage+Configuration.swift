internal import Devices
internal import DiskImages
internal import HostSystem
internal import MachineControl

extension DiskStorage {
  /// Opens a disk of a configuration's. What is wrong is told with the disk's name.
  /// `tell` is told of each change of a mirror's sides. Of a mirror only the sides in `places` are taken.
  static func open(
    _ disk: MachineConfiguration.Disk, _ descriptors: [Descriptor], _ server: DiskServer? = nil,
    places: Set<UInt8> = [0, 1], tell: @escaping @Sendable (MirrorStatus) -> Void
  ) throws(ControlFailure) -> Opened {
    if let mirror = try MirroredDisk.open(disk, descriptors, places: places, tell: tell) {
      return Opened(image: mirror.image, file: nil, mirror: mirror, cache: disk.cache)
    }
    do throws(DiskImageError) {
      return Opened(
        image: try image(of: disk, descriptors, server),
        file: disk.server == nil ? descriptors[disk.file] : nil,
        cache: disk.cache)
    } catch {
      var code = ControlFailure.Code.invalidConfiguration
      if case .system = error { code = .hostRefused }
      throw ControlFailure(code, phase: "opening disk \(disk.serial)", message: error.description)
    }
  }

  static func image(
    of disk: MachineConfiguration.Disk, _ descriptors: [Descriptor], _ server: DiskServer? = nil
  ) throws(DiskImageError) -> any DiskImage {
    if let place = disk.server {
      guard let server else { throw .server(name: place.name, reason: "nobody is there to connect it") }
      let image = try server.open(place, descriptors[disk.file], readOnly: disk.readOnly)
      return disk.format == .qcow2 ? try QCOW2Image(DiskFile(image, name: place.name), backing: nil) : image
    }
    // Layers are many disks' files: the host's memory holds them once, however a disk's own file is taken.
    var base: (any DiskImage)?
    for layer in disk.layers.reversed() {
      base = try DiskImages.open(
        format: layer.format.ofImages, descriptor: descriptors[layer.file],
        name: "a layer of disk \(disk.serial)", readOnly: true, base: base)
    }
    let caching = disk.cache.ofFiles
    let file = descriptors[disk.file]
    let name = "disk \(disk.serial)"
    switch disk.format {
    case .raw:
      return try DiskImages.open(
        format: .raw, descriptor: file, name: name, readOnly: disk.readOnly, caching: caching)
    case .overlay:
      if disk.ephemeral, let base {
        return try DiskImages.ephemeralOverlay(descriptor: file, name: name, base: base, size: disk.size)
      }
      let isFresh: Bool
      do throws(Errno) { isFresh = try file.size() == 0 } catch {
        throw .system(name: name, operation: "look at", error)
      }
      if isFresh {
        try DiskImages.createOverlay(descriptor: file, name: name, base: base, size: disk.size)
      }
      return try DiskImages.open(
        format: .overlay, descriptor: file, name: name, readOnly: disk.readOnly, base: base,
        caching: caching)
    case .qcow2:
      return try DiskImages.open(
        format: .qcow2, descriptor: file, name: name, readOnly: disk.readOnly, base: base,
        caching: caching)
    }
  }
}

extension MachineConfiguration.Disk.Cache {
  fileprivate var ofFiles: HostCaching {
    switch self {
    case .writeback, .writethrough: .usual
    case .none: .direct
    case .unsafe: .unsynced
    }
  }
}

extension MachineConfiguration.Disk.Format {
  fileprivate var ofImages: DiskFormat {
    switch self {
    case .raw: .raw
    case .overlay: .overlay
    case .qcow2: .qcow2
    }
  }
}
