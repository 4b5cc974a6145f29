import DiskImages
import Glibc
import HostSystem
import Testing

/// Images that QEMU's programs make and fill are read right, changed, and read right by them again.
@Suite struct QCOW2InteropTests {
  static let variants = [
    "compat=0.10", "compat=1.1", "cluster_size=512", "cluster_size=2k", "cluster_size=2M", "refcount_bits=1",
    "refcount_bits=2", "refcount_bits=4", "refcount_bits=8", "refcount_bits=32", "refcount_bits=64",
    "lazy_refcounts=on", "extended_l2=on", "extended_l2=on,cluster_size=16k",
    "extended_l2=on,cluster_size=2M",
    "compression_type=zstd", "preallocation=metadata", "preallocation=falloc",
    "preallocation=metadata,extended_l2=on",
  ]

  /// The disk as QEMU reads it.
  static func contents(_ path: String, in directory: String) throws -> [UInt8] {
    try QCOW2Tools.run("qemu-img convert -O raw \(path) \(directory)/converted.raw")
    let raw = try QCOW2Tools.raw(directory + "/converted.raw")
    return try raw.bytes(0, Int(raw.size))
  }

  /// Commands of qemu-io that write data, zeroes and compressed clusters here and there.
  static func commands(_ seed: UInt64, size: Int) -> String {
    var generator = Xorshift(seed: seed)
    return (0..<24).map { number in
      let start = Int.random(in: 0..<size / 512, using: &generator) * 512
      let count = min(size - start, Int.random(in: 1...300, using: &generator) * 512)
      let kinds = [
        "write -P \(number + 1)", "write -P \(number + 100)", "write -z", "write -z -u", "discard",
      ]
      return "-c '\(kinds.randomElement(using: &generator)!) \(start) \(count)'"
    }.joined(separator: " ")
  }

  @Test(arguments: variants, [false, true])
  func `images that QEMU made`(options: String, hasBacking: Bool) throws {
    if hasBacking, options.contains("preallocation") { return }
    try QCOW2Tools.inDirectory { directory in
      let path = directory + "/image.qcow2"
      let size = 3 << 20
      var backing: (any DiskImage)?
      var link = ""
      if hasBacking {
        let bytes = QCOW2Tools.pattern
        try QCOW2Tools.write(bytes, to: directory + "/base.raw")
        backing = try QCOW2Tools.disk(bytes)
        link = "-b \(directory)/base.raw -F raw"
      }
      try QCOW2Tools.run("qemu-img create -q -f qcow2 -o \(options) \(link) \(path) \(size)")
      try QCOW2Tools.run(
        "qemu-io -f qcow2 \(Self.commands(UInt64(options.utf8.count) + 7, size: 2 << 20)) "
          // QEMU overwrites nothing with compressed clusters.
          + (options.contains("preallocation") ? "" : "-c 'write -c -P 77 2M 1M' ")
          + "-c 'write -P 78 2560k 64k' \(path)"
      )
      var model = try Self.contents(path, in: directory)
      let image = try QCOW2Tools.open(path, backing: backing)
      #expect(image.backingName == (hasBacking ? directory + "/base.raw" : nil))
      #expect(image.backingFormat == (hasBacking ? "raw" : nil))
      try #require(image.bytes(0, size) == model)
      #expect(try image.check().corruptions == 0)
      var generator = Xorshift(seed: 5)
      for number in 0..<40 {
        let start = Int.random(in: 0..<size / 512, using: &generator) * 512
        let count = min(size - start, Int.random(in: 1...200, using: &generator) * 512)
        if number % 3 == 0 {
          try image.writeZeroes(at: UInt64(start), count: UInt64(count), mayUnmap: number % 2 == 0)
        } else {
          try image.write([UInt8](repeating: UInt8(number), count: count), at: UInt64(start))
        }
        let byte = number % 3 == 0 ? 0 : UInt8(number)
        model.replaceSubrange(start..<start + count, with: repeatElement(byte, count: count))
      }
      try #require(image.bytes(0, size) == model)
      if options == "refcount_bits=1" {
        #expect(throws: Errno(ERANGE)) { try image.createSnapshot("none") }
        try #require(image.bytes(0, size) == model)
      } else if options == "refcount_bits=2" {
        // Where compressed clusters share host clusters, nothing may be left to count.
        do throws(Errno) { try image.createSnapshot("one") } catch { #expect(error == Errno(ERANGE)) }
        try #require(image.bytes(0, size) == model)
      } else {
        try image.createSnapshot("kept")
        try image.write([UInt8](repeating: 9, count: 100_000), at: 300_000)
        try image.applySnapshot("kept")
        try #require(image.bytes(0, size) == model)
      }
      try image.close()
    }
  }

  @Test(arguments: variants)
  func `QEMU reads what was changed`(options: String) throws {
    try QCOW2Tools.inDirectory { directory in
      let path = directory + "/image.qcow2"
      let size = 2 << 20
      try QCOW2Tools.run("qemu-img create -q -f qcow2 -o \(options) \(path) \(size)")
      try QCOW2Tools.run("qemu-io -f qcow2 \(Self.commands(99, size: size)) \(path)")
      let model: [UInt8]
      do {
        let image = try QCOW2Tools.open(path)
        for number in 1..<20 {
          try image.write(
            [UInt8](repeating: UInt8(number), count: 10_000 + 512 * number), at: UInt64(100_000 * number))
          if number % 4 == 0 { try image.discard(at: UInt64(90_000 * number), count: 200_000) }
        }
        model = try image.bytes(0, size)
        try image.close()
      }
      try QCOW2Tools.check(path)
      #expect(try Self.contents(path, in: directory) == model)
    }
  }

  @Test(arguments: ["zlib", "zstd"], ["64k", "512", "2M"])
  func `compressed images both ways`(type: String, clusterSize: String) throws {
    try QCOW2Tools.inDirectory { directory in
      let path = directory + "/image.qcow2"
      var generator = Xorshift(seed: 3)
      let size = 1 << 20
      let model = (0..<size).map { index in
        let isRandom = index / 4096 % 3 == 0
        return isRandom ? UInt8.random(in: 0...255, using: &generator) : UInt8(truncatingIfNeeded: index / 64)
      }
      try QCOW2Tools.write(model, to: directory + "/model.raw")
      try QCOW2Tools.run(
        "qemu-img convert -c -f raw -O qcow2 -o compression_type=\(type),cluster_size=\(clusterSize) "
          + "\(directory)/model.raw \(path)")
      do {
        let image = try QCOW2Tools.open(path)
        try #require(image.bytes(0, size) == model)
        try #require(image.bytes(70_000, 333) == Array(model[70_000..<70_333]))
        #expect(try image.check().isClean)
      }
      var options = QCOW2Options()
      options.compression = type == "zstd" ? .zstd : .zlib
      options.clusterSize = ["64k": 65536, "512": 512, "2M": 2 << 20][clusterSize]!
      let own = directory + "/own.qcow2"
      try QCOW2Tools.create(own, size: UInt64(size), options)
      do {
        let image = try QCOW2Tools.open(own)
        for start in stride(from: 0, to: size, by: Int(options.clusterSize)) {
          let end = min(size, start + Int(options.clusterSize))
          try model[start..<end].withUnsafeBytes { try image.writeCompressed(at: UInt64(start), from: $0) }
        }
        try #require(image.bytes(0, size) == model)
        try image.close()
      }
      try QCOW2Tools.check(own)
      try QCOW2Tools.run("qemu-img compare -f qcow2 -F raw \(own) \(directory)/model.raw")
    }
  }

  @Test func `snapshots both ways`() throws {
    try QCOW2Tools.inDirectory { directory in
      let path = directory + "/image.qcow2"
      try QCOW2Tools.run("qemu-img create -q -f qcow2 \(path) 4M")
      try QCOW2Tools.run("qemu-io -f qcow2 -c 'write -P 1 0 1M' \(path) && qemu-img snapshot -c one \(path)")
      try QCOW2Tools.run(
        "qemu-io -f qcow2 -c 'write -P 2 512k 1M' \(path) && qemu-img snapshot -c two \(path)")
      try QCOW2Tools.run("qemu-io -f qcow2 -c 'write -P 3 100k 1000k' \(path)")
      do {
        let image = try QCOW2Tools.open(path)
        #expect(image.snapshotList.map(\.name) == ["one", "two"])
        #expect(image.snapshotList.map(\.diskSize) == [4 << 20, 4 << 20])
        let one = try image.openSnapshot("one")
        #expect(try one.bytes(0, 1 << 20) == [UInt8](repeating: 1, count: 1 << 20))
        #expect(try one.extent(at: 1 << 20, limit: 4 << 20) == DiskExtent(.zero, end: 4 << 20))
        #expect(throws: Errno(EROFS)) { try one.write([1], at: 0) }
        #expect(throws: Errno(EBUSY)) { try image.deleteSnapshot("one") }
        #expect(throws: Errno.notFound) { try image.deleteSnapshot("three") }
        #expect(throws: Errno.exists) { try image.createSnapshot("one") }
        withExtendedLifetime(one) {}
      }
      do {
        let image = try QCOW2Tools.open(path)
        try image.deleteSnapshot("one")
        try image.createSnapshot("three")
        try image.write([UInt8](repeating: 4, count: 70_000), at: 0)
        try image.close()
      }
      try QCOW2Tools.check(path)
      let list = try QCOW2Tools.run("qemu-img snapshot -l \(path)")
      #expect(list.contains("two") && list.contains("three") && !list.contains("one"))
      try QCOW2Tools.run("qemu-img snapshot -a three \(path) && qemu-img snapshot -d two \(path)")
      try QCOW2Tools.check(path)
      let image = try QCOW2Tools.open(path)
      #expect(try image.bytes(0, 70_000) == [UInt8](repeating: 1, count: 70_000))
      #expect(try image.check().isClean)
    }
  }

  @Test(arguments: ["64k", "512"])
  func `bitmaps both ways`(clusterSize: String) throws {
    try QCOW2Tools.inDirectory { directory in
      let path = directory + "/image.qcow2"
      try QCOW2Tools.run("qemu-img create -q -f qcow2 -o cluster_size=\(clusterSize) \(path) 64M")
      try QCOW2Tools.run(
        "qemu-img bitmap --add -g 4096 \(path) b0 && qemu-img bitmap --add -g 64k --disable \(path) b1")
      try QCOW2Tools.run("qemu-io -f qcow2 -c 'write -P 1 8k 4k' -c 'write -P 1 1M 1M' \(path)")
      do {
        let image = try QCOW2Tools.open(path)
        #expect(image.bitmapList.map(\.name) == ["b0", "b1"])
        #expect(image.bitmapList.map(\.granularity) == [4096, 65536])
        #expect(image.bitmapList.map(\.isEnabled) == [true, false])
        #expect(image.bitmapList.allSatisfy { !$0.isInconsistent })
        var dirty: [Range<UInt64>] = []
        var position: UInt64 = 0
        while position < image.size {
          let (isDirty, end) = try image.dirtyExtent(of: "b0", at: position, limit: image.size)
          if isDirty { dirty.append(position..<end) }
          position = end
        }
        #expect(dirty == [8192..<12288, 1 << 20..<2 << 20])
        try image.write([1], at: 40 << 20)
        try image.flush()
        // Until it is closed, others see that it is out of step.
        let meanwhile = try QCOW2Tools.run("qemu-img info -U \(path)")
        #expect(meanwhile.contains("in-use"))
        try image.close()
      }
      try QCOW2Tools.check(path)
      let info = try QCOW2Tools.run("qemu-img info \(path)")
      #expect(!info.contains("in-use"))
      // QEMU adds ours to its own, from which we read it again.
      try QCOW2Tools.run(
        "qemu-img bitmap --add -g 64k \(path) b2 && qemu-img bitmap --merge b0 \(path) b2 && qemu-img bitmap --remove \(path) b0"
      )
      let image = try QCOW2Tools.open(path)
      #expect(try image.dirtyExtent(of: "b2", at: 40 << 20, limit: 64 << 20) == (true, 40 << 20 + 65536))
      #expect(try image.dirtyExtent(of: "b2", at: 2 << 20, limit: 64 << 20) == (false, 40 << 20))
      #expect(try image.check().isClean)
    }
  }

  @Test func `an image that QEMU did not close is repaired`() throws {
    try QCOW2Tools.inDirectory { directory in
      let path = directory + "/image.qcow2"
      try QCOW2Tools.run("qemu-img create -q -f qcow2 -o lazy_refcounts=on \(path) 4M")
      _ = try QCOW2Tools.run(
        "sh -c \"ulimit -c 0; qemu-io -f qcow2 -c 'write -P 5 0 1M' -c flush -c abort \(path)\"",
        codes: Set(0...255))
      #expect(try QCOW2Info(reading: QCOW2Tools.file(path, readOnly: true)).isDirty)
      do {
        let image = try QCOW2Tools.open(path)
        #expect(try image.bytes(0, 1 << 20) == [UInt8](repeating: 5, count: 1 << 20))
        #expect(try image.check().isClean)
      }
      #expect(try !QCOW2Info(reading: QCOW2Tools.file(path, readOnly: true)).isDirty)
      try QCOW2Tools.check(path)
    }
  }

  @Test func `what is not supported is said`() throws {
    try QCOW2Tools.inDirectory { directory in
      let data = directory + "/data.qcow2"
      try QCOW2Tools.run("qemu-img create -q -f qcow2 -o data_file=\(directory)/data.raw \(data) 1M")
      let encrypted = directory + "/encrypted.qcow2"
      // What cryptsetup's formats need to be made is not everywhere, so a field must do.
      try QCOW2Tools.run("qemu-img create -q -f qcow2 \(encrypted) 1M")
      try Descriptor.open(encrypted, O_RDWR).writeAll([2], at: 35)
      for (path, feature) in [(data, "an external data file"), (encrypted, "LUKS encryption")] {
        #expect(throws: DiskImageError.unsupported(name: path, format: .qcow2, feature: feature)) {
          _ = try QCOW2Tools.open(path, readOnly: true)
        }
      }
      let overlay = directory + "/overlay.qcow2"
      try QCOW2Tools.run("qemu-img create -q -f qcow2 -b \(directory)/none -F raw -u \(overlay) 1M")
      #expect(throws: DiskImageError.backingMissing(name: overlay, backing: directory + "/none")) {
        _ = try QCOW2Tools.open(overlay, readOnly: true)
      }
    }
  }

  @Test func `headers of others are kept`() throws {
    try QCOW2Tools.inDirectory { directory in
      let path = directory + "/image.qcow2"
      try QCOW2Tools.run("qemu-img create -q -f qcow2 \(path) 1M")
      func patch(_ offset: Int, _ bytes: [UInt8]) throws {
        let descriptor = try Descriptor.open(path, O_RDWR)
        #expect(pwrite(descriptor.raw, bytes, bytes.count, offset) == bytes.count)
      }
      // The table of names becomes an extension that nobody knows, and an autoclear bit is of that kind too.
      try patch(112, [0x12, 0x34, 0x56, 0x78])
      try patch(95, [0x80])
      let before = try QCOW2Tools.file(path, readOnly: true).bytes(at: 120, count: 384)
      do {
        let image = try QCOW2Tools.open(path)
        try image.createBitmap("b")
        try image.write([7], at: 0)
        try image.setBacking(name: "other.raw", format: "raw")
        try image.close()
      }
      try QCOW2Tools.run("qemu-img check -f qcow2 \(path)", codes: [0, 1])
      let after = try QCOW2Tools.file(path, readOnly: true).bytes(at: 0, count: 1024)
      #expect(after[95] == 1, "the bitmaps' bit alone is left")
      let start = try #require((0..<800).first { Array(after[$0..<$0 + 4]) == [0x12, 0x34, 0x56, 0x78] })
      #expect(Array(after[start + 8..<start + 392]) == before)
      let info = try QCOW2Info(reading: QCOW2Tools.file(path, readOnly: true))
      #expect(info.backingName == "other.raw" && info.backingFormat == "raw")
      // The corrupt mark.
      try patch(79, [2])
      #expect(throws: DiskImageError.self) { try QCOW2Tools.open(path, backing: QCOW2Tools.disk([1])) }
      #expect(try QCOW2Tools.open(path, backing: QCOW2Tools.disk([1]), readOnly: true).bytes(0, 1) == [7])
    }
  }

  @Test func `an unknown feature is refused by its name`() throws {
    try QCOW2Tools.inDirectory { directory in
      let path = directory + "/image.qcow2"
      try QCOW2Tools.run("qemu-img create -q -f qcow2 \(path) 1M")
      let descriptor = try Descriptor.open(path, O_RDWR)
      let entry: [UInt8] = [0, 6] + Array("moon phase".utf8) + [0]
      #expect(pwrite(descriptor.raw, entry, entry.count, 120) == entry.count)
      #expect(pwrite(descriptor.raw, [UInt8(0xC0)], 1, 79) == 1)
      #expect(
        throws: DiskImageError.unsupported(
          name: path, format: .qcow2,
          feature: "the feature \"moon phase\" and the incompatible feature of bit 7")
      ) { _ = try QCOW2Tools.open(path, readOnly: true) }
    }
  }
}
