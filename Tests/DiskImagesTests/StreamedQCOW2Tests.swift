import DiskImages
import Glibc
import HostSystem
import Testing

/// Images that are written from front to back are what QEMU's programs read as the disk they are of, as a whole and as a
/// layer over what was beneath.
@Suite struct StreamedQCOW2Tests {
  static let variants = [
    "cluster_size=64k", "cluster_size=4k", "cluster_size=2M", "extended_l2=on", "compression_type=zstd",
  ]

  @Test(arguments: variants, [5 << 20, 9_437_696, 1 << 16]) func `layers of a disk`(
    options: String, size: Int
  )
    throws
  {
    try QCOW2Tools.inDirectory { directory in
      let (base, middle, top) = ("\(directory)/base.raw", "\(directory)/middle", "\(directory)/top")
      try QCOW2Tools.run("truncate -s \(size) \(base)")
      let smaller = QCOW2InteropTests.commands(1, size: size)
      try QCOW2Tools.run("qemu-io -f raw \(smaller) \(base)")
      try QCOW2Tools.run("qemu-img create -q -f qcow2 -o \(options) -F raw -b \(base) \(middle) \(size)")
      try QCOW2Tools.run("qemu-io -f qcow2 \(QCOW2InteropTests.commands(2, size: size)) \(middle)")
      // Larger than what it stands on.
      let larger = size + 70_144
      try QCOW2Tools.run("qemu-img create -q -f qcow2 -o \(options) -F qcow2 -b \(middle) \(top) \(larger)")
      try QCOW2Tools.run("qemu-io -f qcow2 \(QCOW2InteropTests.commands(3, size: larger)) \(top)")
      let whole = "\(directory)/whole"
      try Self.write(base, middle, top, count: 3, to: whole)
      try QCOW2Tools.check(whole)
      try QCOW2Tools.run("qemu-img compare -f qcow2 -F qcow2 \(whole) \(top)")

      for count in 1...2 {
        let part = "\(directory)/part\(count)"
        try Self.write(base, middle, top, count: count, to: part)
        try QCOW2Tools.check(part)
        let (beneath, format) = count == 1 ? (middle, "qcow2") : (base, "raw")
        try QCOW2Tools.run("qemu-img rebase -u -f qcow2 -F \(format) -b \(beneath) \(part)")
        try QCOW2Tools.run("qemu-img compare -f qcow2 -F qcow2 \(part) \(top)")
      }
    }
  }

  /// What nobody has written takes no place, however large the disk is.
  @Test func `large and empty`() throws {
    try QCOW2Tools.inDirectory { directory in
      try QCOW2Tools.run("truncate -s 4T \(directory)/base")
      try QCOW2Tools.run("qemu-io -f raw -c 'write -P 5 1T 4k' -c 'write -P 6 3T 64k' \(directory)/base")
      let slice = LayerSlice([try QCOW2Tools.raw(directory + "/base")], count: 1)
      try Self.write(slice, to: directory + "/new")
      try QCOW2Tools.check(directory + "/new")
      let said = try QCOW2Tools.run(
        "qemu-io -r -f qcow2 -c 'read -P 5 1T 4k' -c 'read -P 6 3T 64k' \(directory)/new")
      #expect(!said.contains("failed"))
      #expect(try QCOW2Tools.file(directory + "/new").size() < 2 << 20)
    }
  }

  /// Closes them all: QEMU wants their locks.
  private static func write(
    _ base: String, _ middle: String, _ top: String, count: Int, to path: String
  ) throws {
    let raw = try QCOW2Tools.raw(base)
    let second = try QCOW2Image(try QCOW2Tools.file(middle, readOnly: true), backing: raw)
    let first = try QCOW2Image(try QCOW2Tools.file(top, readOnly: true), backing: second)
    try write(LayerSlice([first, second, raw], count: count), to: path)
  }

  private static func write(_ slice: LayerSlice, to path: String) throws {
    let file = try QCOW2Tools.file(path)
    let image = try StreamedQCOW2(slice)
    var told: UInt64 = 0
    try image.write(to: FileSink(file)) { count in
      told += count
      return true
    }
    #expect(try file.size() == image.byteCount && told == image.byteCount)
    #expect(throws: DiskCopy.Failure.cancelled) {
      try image.write(to: FileSink(TestFile())) { _ in false }
    }
  }
}

/// What is packed here the programs of these names unpack, and the other way round.
@Suite struct PackingTests {
  static let programs: [(ArchiveCompression, String)] = [(.none, "cat"), (.gzip, "gzip"), (.zstd, "zstd")]

  private static func contents(_ count: Int) -> [UInt8] {
    var generator = Xorshift(seed: UInt64(count))
    return (0..<count).map {
      $0 / 5000 % 3 == 0 ? UInt8.random(in: 0...255, using: &generator) : UInt8($0 & 7)
    }
  }

  @Test(arguments: programs, [0, 1, 511, 262_144, 3_000_001])
  func `there and back`(program: (ArchiveCompression, String), count: Int) throws {
    try QCOW2Tools.inDirectory { directory in
      let (kind, name) = program
      let bytes = Self.contents(count)
      let file = try QCOW2Tools.file(directory + "/packed")
      let sink = try PackingSink(FileSink(file), kind)
      var place = 0
      while place < count {
        let end = min(count, place + 70_001)
        try sink.append(Array(bytes[place..<end]))
        place = end
      }
      try sink.finish()
      let unpack = kind == .none ? name : name + " -dc"
      try QCOW2Tools.run("\(unpack) < \(directory)/packed > \(directory)/unpacked")
      #expect(try Self.read(directory + "/unpacked") == bytes)
      if kind != .none {
        // Two of them, one behind the other.
        try QCOW2Tools.run(
          "cd \(directory); (\(name) -9 -c unpacked; \(name) -1 -c unpacked) > twice 2> /dev/null")
        #expect(try Self.unpack(QCOW2Tools.file(directory + "/twice"), kind) == bytes + bytes)
      }
      #expect(try Self.unpack(file, kind) == bytes || count == 0)
    }
  }

  @Test(arguments: [ArchiveCompression.gzip, .zstd]) func `what is damaged`(kind: ArchiveCompression) throws {
    try QCOW2Tools.inDirectory { directory in
      let file = try QCOW2Tools.file(directory + "/packed")
      let sink = try PackingSink(FileSink(file), kind)
      try sink.append(Self.contents(100_000))
      try sink.finish()
      let sound = try Self.read(directory + "/packed")
      #expect(try Unpacking.compression(of: file) == kind)
      var generator = Xorshift(seed: 4)
      for round in 0..<200 {
        var bytes = sound
        if round % 2 == 0 {
          bytes.removeLast(Int.random(in: 1...bytes.count, using: &generator))
        } else {
          let place = Int.random(in: 0..<bytes.count, using: &generator)
          bytes[place] ^= UInt8.random(in: 1...255, using: &generator)
        }
        let damaged = TestFile()
        try damaged.resize(to: UInt64(bytes.count))
        try bytes.withUnsafeBytes { try damaged.write(at: 0, from: $0) }
        var came = 0
        do {
          try Unpacking.run(damaged, kind) { piece in
            came += piece.count
            return came < 1 << 20
          }
          // Bytes that mean nothing, such as a gzip header's time.
          #expect(round % 2 == 1 && came == 100_000)
        } catch let error as Unpacking.Failure { #expect(error == .damaged || error == .stopped) }
      }
    }
  }

  private static func read(_ path: String) throws -> [UInt8] {
    let file = try Descriptor.open(path, O_RDONLY)
    return try file.read(Int(try file.size()), at: 0)
  }

  private static func unpack(_ file: HostFile, _ kind: ArchiveCompression) throws -> [UInt8] {
    var bytes: [UInt8] = []
    try Unpacking.run(file, kind) { piece in
      bytes += piece
      return true
    }
    return bytes
  }
}
