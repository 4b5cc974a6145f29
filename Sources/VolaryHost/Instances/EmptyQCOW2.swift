/// A qcow2 file, version 3, that holds nothing over the file beneath (QEMU's docs/interop/qcow2.txt).
struct EmptyQCOW2 {
  private static let clusterBits: UInt32 = 16
  private static let clusterSize = 1 << 16
  /// Of the header extension that names the backing file's format.
  private static let backingFormat: UInt32 = 0xE279_2ACA
  private static let headerLength = 104

  let bytes: [UInt8]

  init(size: UInt64, backing: String, format: DiskChain.Format) {
    let cluster = Self.clusterSize
    // An entry of the first table stands for a table of 8192 clusters.
    let perEntry = UInt64(cluster) * UInt64(cluster / 8)
    let entries = Int(clamping: (size &+ perEntry &- 1) / perEntry)
    let tableClusters = max(1, (entries * 8 + cluster - 1) / cluster)
    // The header, a table of one entry, the block of reference counts that it names, and the first table.
    let used = 3 + tableClusters
    var file = [UInt8](repeating: 0, count: used * cluster)
    func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
      withUnsafeBytes(of: value.bigEndian) { bytes in
        for (index, byte) in bytes.enumerated() { file[offset + index] = byte }
      }
    }
    put(UInt32(0x5146_49FB), at: 0)
    put(UInt32(3), at: 4)
    put(Self.clusterBits, at: 20)
    put(size, at: 24)
    put(UInt32(entries), at: 36)
    put(UInt64(3 * cluster), at: 40)
    put(UInt64(cluster), at: 48)
    put(UInt32(1), at: 56)
    put(UInt32(4), at: 96)  // reference counts of 16 bits
    put(UInt32(Self.headerLength), at: 100)
    let word = Array(format.rawValue.utf8)
    put(Self.backingFormat, at: Self.headerLength)
    put(UInt32(word.count), at: Self.headerLength + 4)
    for (index, byte) in word.enumerated() { file[Self.headerLength + 8 + index] = byte }
    // Behind it the end of the extensions, which is eight zeros, and then the name.
    let name = Array(backing.utf8)
    let place = Self.headerLength + 8 + (word.count + 7) & ~7 + 8
    for (index, byte) in name.enumerated() { file[place + index] = byte }
    put(UInt64(place), at: 8)
    put(UInt32(name.count), at: 16)
    put(UInt64(2 * cluster), at: cluster)
    for index in 0..<used { put(UInt16(1), at: 2 * cluster + 2 * index) }
    bytes = file
  }

  /// Replaces the name of the backing file, by one that is as long, and its format, in the beginning of a file that was
  /// made here, perhaps written by others since. False when it is not as it was made.
  static func name(_ head: inout [UInt8], _ name: [UInt8], _ format: DiskChain.Format) -> Bool {
    func number(_ offset: Int, _ count: Int) -> Int {
      head[offset..<offset + count].reduce(0) { $0 << 8 | Int($1) }
    }
    guard head.count >= 4096, number(0, 4) == 0x5146_49FB, number(8, 4) == 0 else { return false }
    let place = number(12, 4)
    guard place >= headerLength, place + name.count <= head.count, number(16, 4) == name.count else {
      return false
    }
    // The extension with the format is somewhere between the header and the name.
    var extensionPlace = number(100, 4)
    while extensionPlace >= headerLength, extensionPlace + 16 <= place {
      let (type, length) = (number(extensionPlace, 4), number(extensionPlace + 4, 4))
      if type == Int(backingFormat) {
        let word = Array(format.rawValue.utf8)
        guard (length + 7) & ~7 == (word.count + 7) & ~7 else { return false }
        let data = word + [UInt8](repeating: 0, count: 8 - word.count)
        head[extensionPlace + 7] = UInt8(word.count)
        head.replaceSubrange(extensionPlace + 8..<extensionPlace + 16, with: data)
        head.replaceSubrange(place..<place + name.count, with: name)
        return true
      }
      if type == 0 { return false }
      extensionPlace += 8 + (length + 7) & ~7
    }
    return false
  }
}
