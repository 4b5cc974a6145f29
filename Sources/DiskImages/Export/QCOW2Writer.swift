internal import HostSystem

/// Writes a qcow2 image from front to back, cluster by cluster where its clusters are to be compressed.
final class QCOW2Writer: ImageWriter {
  private static let clusterSize = 65536

  let size: UInt64
  private let image: QCOW2Image
  private let isCompressed: Bool
  /// The cluster that is being filled, when they are compressed.
  private var cluster: [UInt8] = []
  private var clusterOffset: UInt64 = 0
  private var end: UInt64 = 0

  init(_ file: any ImageFile, size: UInt64, isCompressed: Bool) throws(DiskImageError) {
    self.size = size
    self.isCompressed = isCompressed
    var options = QCOW2Options()
    options.clusterSize = UInt64(Self.clusterSize)
    try QCOW2Image.create(file: file, size: size, options: options)
    image = try QCOW2Image(file)
  }

  func write(at offset: UInt64, from buffer: UnsafeRawBufferPointer) throws(Errno) {
    try checkNext(offset, buffer.count, after: end)
    end = offset + UInt64(buffer.count)
    guard isCompressed else { return try image.write(at: offset, from: buffer) }
    var done = 0
    while done < buffer.count {
      let place = offset + UInt64(done)
      let start = place & ~UInt64(Self.clusterSize - 1)
      if cluster.isEmpty || start != clusterOffset {
        try writeCluster()
        cluster = [UInt8](repeating: 0, count: Int(min(UInt64(Self.clusterSize), size - start)))
        clusterOffset = start
      }
      let from = Int(place - start)
      let count = min(buffer.count - done, cluster.count - from)
      cluster.withUnsafeMutableBytes {
        $0[from..<from + count].copyBytes(from: buffer[done..<done + count])
      }
      done += count
    }
  }

  private func writeCluster() throws(Errno) {
    guard !cluster.isEmpty else { return }
    let offset = clusterOffset
    try cluster.withUnsafeBufferPointer { (bytes) throws(Errno) in
      try image.writeCompressed(at: offset, from: UnsafeRawBufferPointer(bytes))
    }
    cluster = []
  }

  func finish() throws(Errno) {
    try writeCluster()
    try image.close()
  }
}
