internal import DiskImages
internal import HostSystem
internal import MachineControl
internal import Synchronization

/// A disk of two sides, either of which may fail.
final class MirroredDisk: Sendable {
  /// The files that the sides write, by their places: what has been dropped is closed, so that its file system can be
  /// unmounted.
  private final class Files: Sendable {
    let byPlace = Mutex<[UInt8: Descriptor]>([:])

    func keep(_ state: MirrorState) {
      byPlace.withLock { files in
        for (place, side) in state.sides.enumerated() where side == .missing { files[UInt8(place)] = nil }
      }
    }
  }

  let image: MirrorImage
  private let files: Files
  private let serial: String
  private let format: MachineConfiguration.Disk.Format
  private let size: UInt64
  private let cache: MachineConfiguration.Disk.Cache

  private init(_ image: MirrorImage, _ files: Files, _ disk: MachineConfiguration.Disk) {
    self.image = image
    self.files = files
    serial = disk.serial
    format = disk.format
    size = disk.size
    cache = disk.cache
  }

  /// Opens a configuration's disk with those of its sides that are in `places`; nil for one that is no mirror. A side
  /// that cannot be opened is missing, as long as another is there.
  static func open(
    _ disk: MachineConfiguration.Disk, _ descriptors: [Descriptor], places: Set<UInt8>,
    tell: @escaping @Sendable (MirrorStatus) -> Void
  ) throws(ControlFailure) -> MirroredDisk? {
    guard let mirror = disk.mirror else { return nil }
    let phase = "opening disk \(disk.serial)"
    let files = Files()
    var sides: [MirrorSide] = []
    var failure: DiskImageError?
    let wanted =
      [MachineConfiguration.Disk.Side(mirror.own, file: disk.file, layers: disk.layers)]
      + (mirror.other.map { [$0] } ?? [])
    for side in wanted where places.contains(side.label.place) {
      do throws(DiskImageError) {
        sides.append(try Self.side(side, of: disk, descriptors))
        files.byPlace.withLock { $0[side.label.place] = descriptors[side.file] }
      } catch { failure = error }
    }
    if sides.isEmpty {
      throw ControlFailure(
        .hostRefused, phase: phase, message: failure?.description ?? "neither of its sides is current")
    }
    let metadata: HostFile
    do throws(DiskImageError) {
      metadata = try HostFile(
        descriptors[mirror.metadata], name: "the metadata of disk \(disk.serial)", readOnly: false)
    } catch { throw ControlFailure(.hostRefused, phase: phase, message: error.description) }
    let serial = disk.serial
    do throws(MirrorError) {
      let image = try MirrorImage(metadata: metadata, sides: sides) { state in
        files.keep(state)
        tell(MirrorStatus(serial, state))
      }
      files.keep(image.state)
      return MirroredDisk(image, files, disk)
    } catch { throw ControlFailure(.hostRefused, phase: phase, message: error.description) }
  }

  private static func side(
    _ side: MachineConfiguration.Disk.Side, of disk: MachineConfiguration.Disk, _ descriptors: [Descriptor]
  ) throws(DiskImageError) -> MirrorSide {
    var disk = disk
    (disk.file, disk.layers, disk.mirror) = (side.file, side.layers, nil)
    return MirrorSide(
      try DiskStorage.image(of: disk, descriptors),
      identity: MirrorIdentity(high: side.label.high, low: side.label.low), name: side.label.name)
  }

  /// Takes the side that is missing.
  func attach(
    _ side: MachineConfiguration.Disk.Side, _ descriptors: [Descriptor]
  ) throws(ControlFailure) {
    let phase = "attaching a side to disk \(serial)"
    guard image.state.sides[Int(side.label.place)] == .missing else {
      throw ControlFailure(.wrongState, phase: phase, message: "\(side.label.name) is in use")
    }
    let disk = MachineConfiguration.Disk(
      file: side.file, layers: side.layers, format: format, size: size, cache: cache, serial: serial)
    let new: MirrorSide
    do throws(DiskImageError) { new = try Self.side(side, of: disk, descriptors) } catch {
      throw ControlFailure(.hostRefused, phase: phase, message: error.description)
    }
    files.byPlace.withLock { $0[side.label.place] = descriptors[side.file] }
    do throws(MirrorError) { try image.attach(new) } catch {
      files.keep(image.state)
      throw ControlFailure(.hostRefused, phase: phase, message: error.description)
    }
  }

  /// Those that have everything.
  var currentPlaces: Set<UInt8> {
    Set(image.state.sides.enumerated().filter { $0.element == .current }.map { UInt8($0.offset) })
  }

  var status: MirrorStatus { MirrorStatus(serial, image.state) }

  /// Makes both sides the same, so that either may be read without the other.
  func settle() throws(Errno) { try image.settle() }

  /// Lets others read the files, or has them for this machine alone.
  func lockFiles(exclusive: Bool) throws(Errno) {
    for file in files.byPlace.withLock({ Array($0.values) }) { try file.lock(exclusive: exclusive) }
  }

  /// Says in the metadata that both sides are the same, as far as they are; nobody uses the disk any more.
  func close() { try? image.close() }
}

extension MirrorStatus {
  init(_ serial: String, _ state: MirrorState) {
    let sides = state.sides.map { side -> Side in
      switch side {
      case .current: .current
      case .rebuilding: .rebuilding
      case .missing: .missing
      }
    }
    self.init(
      serial: serial, sides: sides, done: state.done, total: state.total, isRecorded: state.isRecorded)
  }
}
