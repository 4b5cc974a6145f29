import DiskImages
import Glibc
import HostSystem
import Synchronization
import Testing

/// What the other suites of qcow2 do not come by: many threads, layers, sizes, and tables in each other's way.
@Suite struct QCOW2ImageTests {
  static func memory(_ options: QCOW2Options = QCOW2Options(), size: UInt64) throws -> HostFile {
    let file = try HostFile(Descriptor.memory(name: "image"), name: "image", readOnly: false)
    try QCOW2Image.create(file: file, size: size, options: options)
    return file
  }

  @Test(arguments: [false, true])
  func `writers, readers and discards at once`(hasExtendedL2: Bool) throws {
    let sectors = 4096
    var options = QCOW2Options()
    options.clusterSize = hasExtendedL2 ? 16384 : 4096
    options.hasExtendedL2 = hasExtendedL2
    let base = try QCOW2Tools.disk([UInt8](repeating: 0xEE, count: sectors * 512))
    options.backingName = "base"
    let file = try Self.memory(options, size: UInt64(sectors) * 512)
    let disk = try QCOW2Image(file, backing: base)
    let failures = Atomic<Int>(0)
    let threads = try (0..<6).map { index in
      try Thread.start(name: "worker") {
        var generator = Xorshift(seed: UInt64(index) + 1)
        do {
          // Each of the first four writes every fourth sector, so all meet in every cluster.
          if index < 4 {
            for round in 1...3 {
              for sector in stride(from: index, to: sectors, by: 4) {
                try disk.write(
                  [UInt8](repeating: UInt8(round * 50 + index), count: 512), at: UInt64(sector) * 512)
                if sector % 512 == index { try disk.flush() }
              }
              if index == 0 { try disk.createSnapshot("round \(round)") }
            }
          } else {
            for _ in 0..<3000 {
              let sector = Int.random(in: 0..<sectors - 40, using: &generator)
              let bytes = try disk.bytes(UInt64(sector) * 512, 40 * 512)
              for place in 0..<40 {
                // Files promise no more than bytes: a read amid a write may see a part of it, of one round and the next.
                let values: [UInt8] = [0xEE] + (1...3).map { UInt8($0 * 50 + (sector + place) % 4) }
                let found = Set(bytes[place * 512..<place * 512 + 512].map { values.firstIndex(of: $0) ?? 9 })
                let isRight = found.allSatisfy { $0 < 4 } && (found.max() ?? 9) - (found.min() ?? 0) <= 1
                if !isRight { failures.add(1, ordering: .relaxed) }
              }
            }
          }
        } catch {
          failures.add(1, ordering: .relaxed)
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(failures.load(ordering: .relaxed) == 0)
    for sector in 0..<sectors {
      let expected = [UInt8](repeating: UInt8(150 + sector % 4), count: 512)
      try #require(disk.bytes(UInt64(sector) * 512, 512) == expected)
    }
    for round in 1...3 { try disk.deleteSnapshot("round \(round)") }
    #expect(try disk.check().isClean)
  }

  @Test func `zeroes and discards beside writers of the same clusters`() throws {
    let file = try Self.memory(size: 8 << 20)
    let disk = try QCOW2Image(file)
    let failures = Atomic<Int>(0)
    let threads = try (0..<4).map { index in
      try Thread.start(name: "worker") {
        var generator = Xorshift(seed: UInt64(index) + 9)
        do {
          // Each has a quarter of every cluster for itself, and what it last wrote or zeroed there must stay.
          for _ in 0..<1500 {
            let cluster = UInt64.random(in: 0..<128, using: &generator)
            let offset = cluster * 65536 + UInt64(index) * 16384
            if generator.next() % 3 == 0 {
              try disk.writeZeroes(at: offset, count: 16384, mayUnmap: true)
              if try disk.bytes(offset, 16384) != [UInt8](repeating: 0, count: 16384) {
                failures.add(1, ordering: .relaxed)
              }
            } else {
              let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: generator.next()), count: 16384)
              try disk.write(bytes, at: offset)
              if try disk.bytes(offset, 16384) != bytes { failures.add(1, ordering: .relaxed) }
            }
            if generator.next() % 64 == 0 { try disk.flush() }
          }
        } catch {
          failures.add(1, ordering: .relaxed)
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(failures.load(ordering: .relaxed) == 0)
    #expect(try disk.check().isClean)
  }

  @Test(arguments: [512, 65536, 2 << 20] as [UInt64])
  func `layers are written down and merged`(clusterSize: UInt64) throws {
    var options = QCOW2Options()
    options.clusterSize = clusterSize
    let size: UInt64 = 5 << 20
    let bottom = try QCOW2Image(Self.memory(size: size))
    try bottom.write([UInt8](repeating: 1, count: 3 << 20), at: 0)
    try bottom.flush()
    options.backingName = "bottom"
    let layer = try QCOW2Image(Self.memory(options, size: size), backing: bottom)
    try layer.write([UInt8](repeating: 2, count: 100_000), at: 1 << 20)
    try layer.writeZeroes(at: 2 << 20, count: 2 << 20, mayUnmap: true)
    let model = try layer.bytes(0, Int(size))
    #expect(try layer.ownExtent(at: 4 << 20, limit: size).content == .absent)
    #expect(try layer.extent(at: 4 << 20, limit: size) == DiskExtent(.zero, end: size))
    #expect(try layer.ownExtent(at: 2 << 20, limit: 4 << 20) == DiskLayerExtent(.zero, end: 4 << 20))
    // Into a copy of what is underneath.
    let copy = try QCOW2Image(Self.memory(size: size))
    try copy.write([UInt8](repeating: 1, count: 3 << 20), at: 0)
    try layer.copyOwn(into: copy)
    #expect(try copy.bytes(0, Int(size)) == model)
    // Into what is underneath.
    let small = try QCOW2Image(Self.memory(size: size - 512))
    #expect(throws: Errno.invalid) { try layer.commit(into: small) }
    try layer.commit(into: bottom)
    #expect(try layer.ownExtent(at: 0, limit: size) == DiskLayerExtent(.absent, end: size))
    #expect(try layer.bytes(0, Int(size)) == model)
    #expect(try bottom.bytes(0, Int(size)) == model)
    #expect(try layer.check().isClean && bottom.check().isClean)
  }

  @Test func `creating takes no longer for more`() throws {
    for (size, clusterSize) in [(1 << 50, 2 << 20), (64 << 40, 65536), (64 << 30, 512)] as [(UInt64, UInt64)]
    {
      try QCOW2Tools.inDirectory { directory in
        var options = QCOW2Options()
        options.clusterSize = clusterSize
        let path = directory + "/image.qcow2"
        try QCOW2Tools.create(path, size: size, options)
        // Of its tables, only what counts them is written.
        var status = stat()
        stat(path, &status)
        #expect(status.st_blocks * 512 < 4 << 20)
        do {
          let image = try QCOW2Tools.open(path)
          try image.write([1, 2, 3], at: size - 512)
          try image.close()
          #expect(try image.bytes(size - 512, 3) == [1, 2, 3])
        }
        try QCOW2Tools.check(path)
      }
    }
  }

  @Test func `metadata is made beforehand`() throws {
    try QCOW2Tools.inDirectory { directory in
      var options = QCOW2Options()
      options.preallocation = .metadata
      let path = directory + "/image.qcow2"
      try QCOW2Tools.create(path, size: 100 << 20, options)
      try QCOW2Tools.check(path)
      let image = try QCOW2Tools.open(path)
      #expect(try image.ownExtent(at: 0, limit: 100 << 20) == DiskLayerExtent(.data, end: 100 << 20))
      #expect(try image.bytes(50 << 20, 512) == [UInt8](repeating: 0, count: 512))
    }
  }

  /// The first L2 table's offset, and the file.
  private func filled() throws -> (HostFile, UInt64) {
    let file = try Self.memory(size: 1 << 20)
    let image = try QCOW2Image(file)
    try image.write([UInt8](repeating: 1, count: 200_000), at: 0)
    try image.close()
    let l1 = UInt64(bigEndian: try file.bytes(at: 40, count: 8).withUnsafeBytes { $0.load(as: UInt64.self) })
    let entry = UInt64(
      bigEndian: try file.bytes(at: l1, count: 8).withUnsafeBytes { $0.load(as: UInt64.self) })
    return (file, entry & 0x00FF_FFFF_FFFF_FE00)
  }

  @Test func `contents are never written over tables`() throws {
    // The header, the refcount table, a refcount block, the L1 table, the L2 table itself.
    for cluster in [UInt64(0), 1, 2, 3, 4] {
      let (file, table) = try filled()
      let entry = (cluster << 16 | 1 << 63).bigEndian
      try withUnsafeBytes(of: entry) { try file.write(at: table + 8, from: $0) }
      let before = try file.bytes(at: cluster << 16, count: 512)
      let image = try QCOW2Image(file)
      if cluster == 0 {
        // That an entry names nothing and is its cluster's only one is nonsense, and harmless.
        try image.write([9], at: 65536)
        continue
      }
      #expect(throws: Errno.io) { try image.write([9], at: 65536) }
      #expect(throws: Errno.io, "nothing is written any more") { try image.write([9], at: 0) }
      #expect(try image.bytes(0, 1) == [1])
      #expect(try file.bytes(at: cluster << 16, count: 512) == before)
      #expect(try QCOW2Info(reading: file).isCorrupt)
      #expect(throws: DiskImageError.self) { try QCOW2Image(file) }
      _ = try QCOW2Image(ReadOnlyFile(file))
    }
  }

  @Test func `refcounts that are gone are made anew`() throws {
    let (file, _) = try filled()
    try file.write(
      at: 65536, from: UnsafeRawBufferPointer([UInt8](repeating: 0, count: 8).withUnsafeBytes { $0 }))
    #expect(try QCOW2Image.check(file: file).corruptions > 0)
    #expect(try QCOW2Image.repair(file: file).isClean)
    let image = try QCOW2Image(file)
    #expect(try image.bytes(0, 200_000) == [UInt8](repeating: 1, count: 200_000))
    try image.write([7], at: 900_000)
    #expect(try image.check().isClean)
  }

  @Test func `clusters that were let go of are used again, and not before that is durable`() throws {
    let file = try Self.memory(size: 64 << 20)
    let image = try QCOW2Image(file)
    for round in 0..<20 {
      try image.write([UInt8](repeating: UInt8(round), count: 8 << 20), at: UInt64(round % 8) * 8 << 20)
      try image.discard(at: UInt64(round % 8) * 8 << 20, count: 8 << 20)
      try image.flush()
    }
    #expect(try file.size() < 20 << 20)
    #expect(try image.check().isClean)
  }
}
