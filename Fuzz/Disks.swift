import DiskImages
import HostSystem
import Synchronization
import VolaryHost

/// Disk images of other systems, and the packages that hold them.
extension FuzzTarget {
  static let disks =
    [DiskFormat.vmdk, .vdi, .vhd, .vhdx].map { format in
      FuzzTarget("disk-\(format.rawValue)") { (random) in try importedDisk(format, &random) }
    } + [
      FuzzTarget("disk-vhdx-log", replayedDisk), FuzzTarget("ovf", ovf), FuzzTarget("ova", ova),
      FuzzTarget("xml", xml),
    ]

  // MARK: - Disks

  /// Images of a disk of some data and some holes, made once.
  private static let images = Mutex<[DiskFormat: [UInt8]]>([:])

  private static func image(_ format: DiskFormat) throws -> [UInt8] {
    if let made = images.withLock({ $0[format] }) { return made }
    let file = try HostFile(Descriptor.memory(name: "fuzz"), name: "fuzz", readOnly: false)
    var options = DiskImages.WriterOptions()
    options.identity = Array(1...48)
    let writer = try DiskImages.writer(format: format, file: file, size: 700 << 10, options: options)
    var random = FuzzRandom(seed: 1)
    for start in [0, 200 << 10, 500 << 10] {
      let bytes = random.bytes(40 << 10)
      try bytes.withUnsafeBytes { try writer.write(at: UInt64(start), from: $0) }
    }
    try writer.finish()
    var bytes = [UInt8](repeating: 0, count: Int(try file.size()))
    try bytes.withUnsafeMutableBytes { try file.read(at: 0, into: $0) }
    let made = bytes
    images.withLock { $0[format] = made }
    return made
  }

  /// Where a format's tables are, which is where a change is felt.
  private static func tables(_ format: DiskFormat, _ bytes: [UInt8]) -> [Range<Int>] {
    let end = bytes.count
    switch format {
    case .vmdk: return [0..<80, 0..<80, 512..<1024, end - 1536..<end, end - 4096..<end - 1536, 65536..<65600]
    case .vdi: return [64..<92, 340..<456, 512..<520]
    case .vhd: return [0..<100, 512..<560, 1536..<1540, end - 512..<end - 412, 3584..<4096]
    default:
      return [
        65536..<65616, 196608..<196700, 2 << 20..<2 << 20 + 200, 2 << 20 + 65536..<2 << 20 + 65580,
        3 << 20..<3 << 20 + 8,
      ]
    }
  }

  private static func importedDisk(_ format: DiskFormat, _ random: inout FuzzRandom) throws {
    var bytes = try image(format)
    for _ in 0..<1 + random.below(3) {
      let range = random.pick(tables(format, bytes))
      var part = Array(bytes[range])
      random.mutate(&part)
      bytes.replaceSubrange(
        range.lowerBound..<range.lowerBound + min(range.count, part.count), with: part.prefix(range.count))
    }
    if random.once(in: 10) { bytes.removeLast(random.below(bytes.count)) }
    if !random.once(in: 8) { restoreChecksums(&bytes, format) }
    try use(bytes, format, &random)
  }

  /// Opens and reads an image. What is read twice is the same; an extent of zeroes reads as zero.
  private static func use(_ bytes: [UInt8], _ format: DiskFormat, _ random: inout FuzzRandom) throws {
    let file = try Descriptor.memory(name: "fuzz")
    try bytes.withUnsafeBytes { try file.writeAll($0) }
    let disk = try DiskImages.open(format: format, descriptor: file, name: "fuzz", readOnly: true)
    precondition(disk.size > 0 && disk.size % 512 == 0)
    var position: UInt64 = 0
    for _ in 0..<20 {
      guard position < disk.size, let extent = try? disk.extent(at: position, limit: disk.size) else { break }
      precondition(extent.end > position && extent.end <= disk.size)
      if extent.content == .zero {
        var zeroes = [UInt8](repeating: 1, count: Int(min(extent.end - position, 70_000)))
        let isRead = (try? zeroes.withUnsafeMutableBytes { try disk.read(at: position, into: $0) }) != nil
        precondition(isRead && zeroes.allSatisfy { $0 == 0 })
      }
      position = extent.end
    }
    for _ in 0..<10 {
      let offset = random.once(in: 3) ? random.number() : random.next() % disk.size
      var buffer = [UInt8](repeating: 0, count: random.below(100_000))
      try? buffer.withUnsafeMutableBytes { try disk.read(at: offset, into: $0) }
    }
  }

  private static func restoreChecksums(_ bytes: inout [UInt8], _ format: DiskFormat) {
    if format == .vhd {
      for (start, length, place) in [(0, 512, 64), (bytes.count - 512, 512, 64), (512, 1024, 36)]
      where start >= 0 && start + length <= bytes.count {
        set(0, 4, at: start + place, &bytes)
        let sum = ~bytes[start..<start + length].reduce(UInt32(0)) { $0 &+ UInt32($1) }
        set(UInt64(sum.byteSwapped), 4, at: start + place, &bytes)
      }
    }
    if format == .vhdx {
      for (start, length) in [(65536, 4096), (131072, 4096), (196608, 65536)]
      where start + length <= bytes.count {
        setCRC(start, length, &bytes)
      }
    }
  }

  private static func set(_ value: UInt64, _ size: Int, at place: Int, _ bytes: inout [UInt8]) {
    for index in 0..<size { bytes[place + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
  }

  /// CRC-32C of a structure of VHDX, whose second word it is.
  private static func setCRC(_ start: Int, _ length: Int, _ bytes: inout [UInt8]) {
    set(0, 4, at: start + 4, &bytes)
    var sum: UInt32 = 0xFFFF_FFFF
    for byte in bytes[start..<start + length] {
      sum ^= UInt32(byte)
      for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82F6_3B78 }
    }
    set(UInt64(~sum), 4, at: start + 4, &bytes)
  }

  /// A log of a few entries, with fields of chance.
  private static func replayedDisk(_ random: inout FuzzRandom) throws {
    var bytes = try image(.vhdx)
    let guid = Array(UInt8(1)...16)
    for header in [65536, 131072] {
      bytes.replaceSubrange(header + 48..<header + 64, with: guid)
      setCRC(header, 4096, &bytes)
    }
    let log = 1 << 20
    var place = 0
    var sequence = UInt64(1 + random.below(5))
    for _ in 0..<1 + random.below(4) {
      let count = random.once(in: 10) ? random.below(200) : random.below(6)
      let head = (64 + 32 * count + 4095) / 4096 * 4096
      var entry = [UInt8](repeating: 0, count: head)
      entry.replaceSubrange(0..<4, with: "loge".utf8)
      entry.replaceSubrange(32..<48, with: guid)
      var data: [UInt8] = []
      for index in 0..<count {
        let descriptor = 64 + 32 * index
        let isData = random.once(in: 2)
        entry.replaceSubrange(descriptor..<descriptor + 4, with: (isData ? "desc" : "zero").utf8)
        let offset = random.once(in: 4) ? random.number() : UInt64(random.below(bytes.count)) & ~4095
        if !isData { set(random.once(in: 4) ? random.number() : 4096, 8, at: descriptor + 8, &entry) }
        set(offset, 8, at: descriptor + 16, &entry)
        set(sequence, 8, at: descriptor + 24, &entry)
        guard isData else { continue }
        var sector = random.bytes(4096)
        sector.replaceSubrange(0..<4, with: "data".utf8)
        set(sequence >> 32, 4, at: 4, &sector)
        set(sequence, 4, at: 4092, &sector)
        data += sector
      }
      entry += data
      set(UInt64(entry.count), 4, at: 8, &entry)
      set(random.once(in: 10) ? random.number() : 0, 4, at: 12, &entry)
      set(sequence, 8, at: 16, &entry)
      set(UInt64(count), 4, at: 24, &entry)
      set(random.once(in: 10) ? random.number() : 1 << 20, 8, at: 48, &entry)
      set(random.once(in: 10) ? random.number() : 1 << 20, 8, at: 56, &entry)
      if random.once(in: 4) {
        var start = Array(entry[..<256])
        random.mutate(&start)
        entry.replaceSubrange(0..<min(256, start.count), with: start.prefix(256))
      }
      setCRC(0, entry.count, &entry)
      for (index, byte) in entry.enumerated() { bytes[log + (place + index) % (1 << 20)] = byte }
      place += entry.count
      sequence += random.once(in: 10) ? 2 : 1
    }
    try use(bytes, .vhdx, &random)
  }

  // MARK: - Packages

  private static let descriptor = Array(
    """
    <?xml version="1.0"?>
    <!-- c --><Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="o" xmlns:rasd="r">
    <References><File ovf:id="file1" ovf:href="d.vmdk"/></References>
    <DiskSection><Info>i</Info><Disk ovf:capacity="8" ovf:capacityAllocationUnits="byte * 2^30" ovf:diskId="d1" \
    ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/></DiskSection>
    <VirtualSystem ovf:id="a"><Info/><Name>n &amp; &#x6e;</Name>
    <OperatingSystemSection ovf:id="96"><Description>Debian</Description></OperatingSystemSection>
    <VirtualHardwareSection><Item><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
    <Item><rasd:AllocationUnits>byte * 2^20</rasd:AllocationUnits><rasd:ResourceType>4</rasd:ResourceType>\
    <rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>
    <Item><rasd:HostResource>ovf:/disk/d1</rasd:HostResource><rasd:ResourceType>17</rasd:ResourceType></Item>
    <vmw:Config vmw:key="firmware" vmw:value="efi"/><![CDATA[x]]></VirtualHardwareSection></VirtualSystem></Envelope>
    """.utf8)

  private static func ovf(_ random: inout FuzzRandom) throws {
    var text = descriptor
    random.mutate(&text)
    let read = try OVFDescriptor(parsing: text)
    precondition(read.disks.compactMap(\.file).allSatisfy { !$0.contains("/") }, "files are in the package")
  }

  private static func xml(_ random: inout FuzzRandom) throws {
    let pieces = [
      "<a>", "</a>", "<a b='c'>", "<", ">", "&", "&lt;", "&#65;", ";", "'", "\"", "<!--", "-->", "<![CDATA[",
      "]]>", "<?",
      "?>", "x", " ", "=", "<b/>", "é",
    ]
    var text = Array("<r>".utf8)
    for _ in 0..<random.below(60) { text += Array(random.pick(pieces).utf8) }
    text += Array("</r>".utf8)
    _ = try XMLTree.read(text)
  }

  private static func ova(_ random: inout FuzzRandom) throws {
    let disk = try image(.vmdk)
    var archive: [UInt8] = []
    for (name, bytes) in [("a.ovf", descriptor), ("a.mf", Array("SHA1(a.ovf)= 00\n".utf8)), ("d.vmdk", disk)]
    {
      var header = TarHeader(name: name, size: UInt64(bytes.count), time: 0).bytes
      if random.once(in: 3) {
        random.mutate(&header)
        header = Array(header.prefix(512)) + [UInt8](repeating: 0, count: max(0, 512 - header.count))
        header.replaceSubrange(148..<156, with: repeatElement(0x20, count: 8))
        let digits = Array(String(header.reduce(0) { $0 + Int($1) }, radix: 8).utf8)
        if !random.once(in: 8) {
          header.replaceSubrange(148..<154, with: repeatElement(0x30, count: 6 - digits.count) + digits)
          header[154] = 0
        }
      }
      if random.once(in: 8) { archive += TarHeader(name: "x", size: 30, time: 0).bytes }
      if random.once(in: 8) { archive += Array("27 path=../../etc/passwd\n3 =\n".utf8) }
      archive += header + bytes + [UInt8](repeating: 0, count: (512 - bytes.count % 512) % 512)
    }
    archive += [UInt8](repeating: 0, count: 1024)
    if random.once(in: 4) { archive.removeLast(random.below(archive.count)) }
    let file = try Descriptor.memory(name: "fuzz")
    try archive.withUnsafeBytes { try file.writeAll($0) }
    let package = try OVFPackage(HostFile(file, name: "fuzz", readOnly: true), name: "fuzz", beside: nil)
    for disk in package.descriptor.disks { _ = try? package.open(disk) }
    try package.checkManifest()
  }
}
