internal import Glibc
package import HostSystem
package import MachineControl

/// The files of an instance's disk, open, on their way to its machine.
package struct OpenedDisk {
  private typealias Mirror = MachineConfiguration.Disk.Mirror
  private typealias Label = MachineConfiguration.Disk.Label

  /// A chain whose files are open, the first of them perhaps to write.
  private struct Files {
    let label: Label?
    let layers: [DiskChain.Layer]
    let files: [Descriptor]
  }

  private let chain: DiskChain
  private let own: Files
  private let other: Files?
  private let metadata: Descriptor?
  private let isReadOnly: Bool
  /// Why a side of a mirrored disk is left out.
  package let remark: String?

  /// Opens the first to write, unless it is read-only, and the others to read, and locks each for that unless a machine has
  /// them already. Of a mirrored disk a side that cannot be opened is left out, if the other can; one that is only read
  /// is read from one side.
  package init(
    _ chain: DiskChain, of instance: String, locks: Bool = true, isReadOnly: Bool = false
  ) throws(VolaryError) {
    self.chain = chain
    self.isReadOnly = isReadOnly
    func open(_ label: Label?, _ layers: [DiskChain.Layer]) throws(VolaryError) -> Files {
      let files = try Self.open(layers, of: instance, locks: locks, isReadOnly: isReadOnly)
      return Files(label: label, layers: layers, files: files)
    }
    guard let mirror = chain.mirror, !isReadOnly else {
      (own, other, metadata, remark) = (try open(nil, chain.layers), nil, nil, nil)
      return
    }
    var (first, second, failure): (Files?, Files?, VolaryError?)
    do throws(VolaryError) { first = try open(mirror.own, chain.layers) } catch {
      // In use, it would be changed under somebody.
      if error.code == .conflict { throw error }
      failure = error
    }
    if let side = mirror.other {
      do throws(VolaryError) { second = try open(side.label, side.layers) } catch {
        if error.code == .conflict { throw error }
        failure = failure ?? error
      }
    }
    guard let one = first ?? second else {
      throw failure ?? VolaryError("\(instance): neither side of its disk is there")
    }
    own = one
    other = first == nil ? nil : second
    remark = failure?.message
    do throws(Errno) { metadata = try Descriptor.open(mirror.metadata, O_RDWR) } catch {
      throw VolaryError(
        VolaryError.Code(error),
        "\(instance): cannot open \(mirror.metadata), which says what is on which side of its disk: \(error)")
    }
  }

  private static func open(
    _ layers: [DiskChain.Layer], of instance: String, locks: Bool, isReadOnly: Bool
  ) throws(VolaryError) -> [Descriptor] {
    var files: [Descriptor] = []
    for (index, layer) in layers.enumerated() {
      let isTop = index == 0 && !isReadOnly
      do throws(Errno) {
        let file = try Descriptor.open(layer.path, isTop ? O_RDWR : O_RDONLY)
        files.append(file)
      } catch {
        throw VolaryError(
          VolaryError.Code(error), "\(instance): cannot open the disk \(layer.path): \(error)")
      }
      if !locks { continue }
      do throws(Errno) { try files[index].lock(exclusive: isTop) } catch {
        throw VolaryError(.conflict, "\(instance): the disk \(layer.path) is in use (\(error))")
      }
    }
    return files
  }

  /// What a machine is told of it; `add` gives each file its place among those that are handed over.
  package func disk(
    serial: String = MachineLauncher.rootDiskSerial, _ add: (Descriptor) -> Int
  ) -> MachineConfiguration.Disk {
    let (first, layers) = Self.hand(own, add)
    var disk = MachineConfiguration.Disk(
      file: first, layers: layers, format: chain.top.format == .raw ? .raw : .qcow2,
      size: chain.size & ~511, readOnly: isReadOnly, waitsForRoom: true, serial: serial)
    if let metadata, let label = own.label {
      disk.mirror = Mirror(metadata: add(metadata), own: label, other: other.flatMap { Self.side($0, add) })
    }
    return disk
  }

  /// As ``disk(serial:_:)``, with its files behind those that are handed over anyway.
  package func disk(
    serial: String = MachineLauncher.rootDiskSerial, behind descriptors: inout [Descriptor]
  ) -> MachineConfiguration.Disk {
    disk(serial: serial) { file in
      descriptors.append(file)
      return descriptors.count - 1
    }
  }

  private static func hand(
    _ files: Files, _ add: (Descriptor) -> Int
  ) -> (Int, [MachineConfiguration.Disk.Layer]) {
    let first = add(files.files[0])
    let layers = zip(files.files, files.layers).dropFirst().map { file, layer in
      MachineConfiguration.Disk.Layer(add(file), layer.format == .raw ? .raw : .qcow2)
    }
    return (first, layers)
  }

  private static func side(_ files: Files, _ add: (Descriptor) -> Int) -> MachineConfiguration.Disk.Side? {
    guard let label = files.label else { return nil }
    let (file, layers) = hand(files, add)
    return .init(label, file: file, layers: layers)
  }

  /// One side of a mirrored disk, opened for a machine that has the other.
  package static func side(
    _ side: DiskChain.Mirror.Side, of instance: String
  ) throws(VolaryError) -> (side: MachineConfiguration.Disk.Side, files: [Descriptor]) {
    // Its machine locks them.
    let files = try open(side.layers, of: instance, locks: false, isReadOnly: false)
    var handed: [Descriptor] = []
    let (file, layers) = hand(Files(label: side.label, layers: side.layers, files: files)) {
      handed.append($0)
      return handed.count - 1
    }
    return (.init(side.label, file: file, layers: layers), handed)
  }
}
