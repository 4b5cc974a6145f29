internal import DiskImages
internal import Foundation
internal import Glibc
internal import HostSystem

/// Two layers that become one: the upper gets what the lower alone has, and then stands on what that stood on. What the
/// upper reads as is the same at each moment, so that it may be left off anywhere and begun again.
package enum LayerMerge {
  /// Bytes that are copied at once.
  private static let piece = 1 << 20

  /// Copies into the first of a chain what the second has and it has not, and has it name the third. Nobody has the first
  /// open. False when it was told to leave off, or when somebody has.
  package static func run(_ chain: DiskChain, isCancelled: () -> Bool) throws -> Bool {
    let path = chain.top.path
    // One that is not written any more is protected.
    chmod(path, 0o600)
    let beneath = try open(chain.layers.dropFirst(2))
    do {
      let lower = try QCOW2Image(try open(chain.layers[1].path, readOnly: true), backing: beneath)
      let upper = try QCOW2Image(try open(path, readOnly: false), backing: lower)
      guard try copy(from: lower, to: upper, isCancelled: { _ in isCancelled() }) else {
        try upper.close()
        return false
      }
      try upper.close()
    } catch DiskImageError.inUse { return false }
    try LayerFile.name(path, as: chain.layers[2])
    return true
  }

  /// How the name of a file ends that is to take a layer's place.
  package static let newEnding = ".new"

  /// As ``run(_:isCancelled:)``, for layers that machines have open: what the two read as goes into another file, which
  /// then takes the upper's name. Who has the old ones open reads the same from them as before, for as long as they
  /// stay open. Throws when there is too little room for both.
  package static func renew(
    _ chain: DiskChain, room: HostRoom, isCancelled: () -> Bool
  ) throws -> Bool {
    let (path, third) = (chain.top.path, chain.layers[2])
    let new = path + newEnding
    unlink(new)
    try room.check(
      UInt64(clamping: LayerFile.storedBytes(path) + LayerFile.storedBytes(chain.layers[1].path)))
    try LayerFile.create(
      new, size: chain.size, over: ((third.path as NSString).lastPathComponent, third.format))
    var isWhole = false
    defer { if !isWhole { unlink(new) } }
    let beneath = try open(chain.layers.dropFirst(2))
    let lower = try QCOW2Image(try open(chain.layers[1].path, readOnly: true), backing: beneath)
    let upper = try QCOW2Image(try open(path, readOnly: true), backing: lower)
    let target = try QCOW2Image(try open(new, readOnly: false), backing: beneath)
    var failure: VolaryError?
    for source in [upper, lower] {
      let isCopied = try copy(from: source, to: target) { copied in
        do throws(VolaryError) { try room.note(copied) } catch { failure = error }
        return failure != nil || isCancelled()
      }
      if let failure { throw failure }
      if !isCopied { return false }
    }
    try target.close()
    LayerFile.protect(new)
    try LayerFile.put(new, inPlaceOf: path)
    isWhole = true
    return true
  }

  /// What a chain of layers reads as.
  private static func open(_ layers: ArraySlice<DiskChain.Layer>) throws -> (any DiskImage)? {
    var beneath: (any DiskImage)?
    for layer in layers.reversed() {
      beneath = try DiskImages.open(
        format: layer.format == .raw ? .raw : .qcow2, descriptor: try Descriptor.open(layer.path, O_RDONLY),
        name: layer.path, readOnly: true, base: beneath)
    }
    return beneath
  }

  private static func open(_ path: String, readOnly: Bool) throws -> HostFile {
    try HostFile(
      try Descriptor.open(path, readOnly ? O_RDONLY : O_RDWR), name: path, readOnly: readOnly)
  }

  /// Copies what one has and the other has not. False when it was told to leave off; `isCancelled` is asked for each piece,
  /// with the bytes that were copied since.
  static func copy(
    from lower: QCOW2Image, to upper: QCOW2Image, isCancelled: (_ copied: Int) -> Bool
  ) throws -> Bool {
    var place: UInt64 = 0
    var buffer = [UInt8](repeating: 0, count: piece)
    var copied = 0
    while place < lower.size {
      if isCancelled(copied) { return false }
      copied = 0
      let extent = try lower.ownExtent(at: place, limit: lower.size)
      if extent.content == .absent {
        place = extent.end
        continue
      }
      let own = try upper.ownExtent(at: place, limit: extent.end)
      guard own.content == .absent else {
        place = own.end
        continue
      }
      switch extent.content {
      case .zero: try upper.writeZeroes(at: place, count: own.end - place, mayUnmap: true)
      case .data, .absent:
        // Pieces end where clusters do, so that none is written twice.
        let end = min(own.end, (place / UInt64(piece) + 1) * UInt64(piece))
        let count = Int(end - place)
        let offset = place
        try buffer.withUnsafeMutableBytes { bytes in
          let part = UnsafeMutableRawBufferPointer(rebasing: bytes[..<count])
          try lower.read(at: offset, into: part)
          try upper.write(at: offset, from: UnsafeRawBufferPointer(part))
        }
        copied = count
        place = end
        continue
      }
      place = own.end
    }
    return true
  }
}
