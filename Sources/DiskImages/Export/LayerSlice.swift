package import HostSystem

/// Layers of a disk that lie directly on one another, as one: what they hold over whatever is beneath them.
package final class LayerSlice: Sendable {
  /// Nearest first.
  private let layers: [any DiskImage]
  /// Whether nothing is beneath them, so that what they do not hold is zero.
  private let isWhole: Bool

  /// `images` are a disk's, nearest first, each opened over the next; the slice is the first `count` of them, one at
  /// least.
  package init(_ images: [any DiskImage], count: Int) {
    layers = Array(images.prefix(max(1, count)))
    isWhole = layers.count == images.count
  }

  /// Bytes.
  package var size: UInt64 { layers[0].size }

  /// Fills `buffer` with what the disk holds from a byte offset on, through all that is beneath.
  package func read(at offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) {
    try layers[0].read(at: offset, into: buffer)
  }

  /// What the layers have from a byte offset inside the disk on, up to `limit` at most. A layer that is smaller than
  /// those above it holds nothing behind its end; nor does what is beneath it.
  package func extent(at offset: UInt64, limit: UInt64) throws(Errno) -> DiskLayerExtent {
    var end = min(limit, size)
    guard offset < end else { throw .invalid }
    for layer in layers where offset < layer.size {
      let own = try Self.own(layer, at: offset, limit: min(end, layer.size))
      end = own.end
      switch own.content {
      case .absent: continue
      case .zero: return DiskLayerExtent(isWhole ? .absent : .zero, end: end)
      case .data: return own
      }
    }
    return DiskLayerExtent(.absent, end: end)
  }

  private static func own(
    _ layer: any DiskImage, at offset: UInt64, limit: UInt64
  ) throws(Errno) -> DiskLayerExtent {
    if let layer = layer as? QCOW2Image { return try layer.ownExtent(at: offset, limit: limit) }
    let extent = try layer.extent(at: offset, limit: limit)
    return DiskLayerExtent(extent.content == .data ? .data : .zero, end: extent.end)
  }
}
