internal import DiskImages
internal import Glibc
internal import HostSystem
internal import MachineControl

/// Mirrored disks that no machine has.
package enum MirrorRepair {
  /// Makes both sides the same where a crash may have left them different, so that either may be read alone. A side of
  /// the chain that is not there, or fails, is dropped.
  package static func settle(_ chain: DiskChain) throws {
    let image = try open(chain)
    try image.settle()
    try image.close()
  }

  /// Copies to a side of a pair what it lacks. `other` is the one that is to be taken in, and nil where the chain has it
  /// already and goes on. False when it was told to leave off; what was copied by then is not copied again.
  package static func rebuild(
    _ chain: DiskChain, adding other: DiskChain.Mirror.Side?,
    isCancelled: (_ done: UInt64, _ total: UInt64) -> Bool
  ) throws -> Bool {
    let image = try open(chain)
    if let other { try image.attach(side(other)) }
    var count = 0
    while true {
      let state = image.state
      if isCancelled(state.done, state.total) {
        try image.checkpoint(clearingAfter: 0)
        return false
      }
      if state.sides.contains(.missing) {
        let lost = zip(state.sides, state.names).first { $0.0 == .missing }?.1 ?? ""
        throw VolaryError("\(lost) failed while it was rebuilt: look at the disk that it is on")
      }
      guard try image.copyNext() else { break }
      count += 1
      // What is flushed needs no copying after a crash.
      if count % 64 == 0 { try image.checkpoint(clearingAfter: 0) }
    }
    try image.close()
    guard image.state.isWhole else {
      throw VolaryError(
        "the disk \(chain.top.path) could not be read to its end: its other side stays behind")
    }
    return true
  }

  private static func open(_ chain: DiskChain) throws -> MirrorImage {
    guard let mirror = chain.mirror else { throw VolaryError("\(chain.top.path) has no other side") }
    let metadata = try HostFile(
      try Descriptor.open(mirror.metadata, O_RDWR), name: mirror.metadata, readOnly: false)
    var sides = [try side(.init(mirror.own, layers: chain.layers))]
    do { if let other = mirror.other { sides.append(try side(other)) } } catch DiskImageError.inUse(
      let name, _)
    {
      throw VolaryError(.conflict, "\(name) is in use")
    } catch {}
    return try MirrorImage(metadata: metadata, sides: sides, inBackground: false)
  }

  private static func side(_ side: DiskChain.Mirror.Side) throws -> MirrorSide {
    var image: (any DiskImage)?
    for (index, layer) in side.layers.enumerated().reversed() {
      image = try DiskImages.open(
        format: layer.format == .raw ? .raw : .qcow2,
        descriptor: try Descriptor.open(layer.path, index == 0 ? O_RDWR : O_RDONLY), name: layer.path,
        readOnly: index != 0, base: image)
    }
    guard let image else { throw VolaryError("a side without files") }
    let label = side.label
    return MirrorSide(image, identity: MirrorIdentity(high: label.high, low: label.low), name: label.name)
  }
}
