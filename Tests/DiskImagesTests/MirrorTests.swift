import DiskImages
import Glibc
import HostSystem
import Synchronization
import Testing

/// Mirrors that nobody cuts off: what they hold, how sides fail, fill up and come back.
@Suite struct MirrorTests {
  static func rig(_ sectors: Int, seed: UInt64 = 1, withQCOW2: Bool = false) throws -> MirrorRig {
    var generator = Xorshift(seed: seed)
    return try MirrorRig(sectors: sectors, withQCOW2: withQCOW2, using: &generator)
  }

  @Test(arguments: 1...8)
  func `random operations`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    let rig = try Self.rig(300, seed: seed, withQCOW2: true)
    var disk = try rig.open().disk
    var model = [UInt8](repeating: 0, count: 300 * 512)
    for step in 0..<400 {
      // Any bytes at times, since nothing forbids it.
      let grain = generator.next() % 4 == 0 ? 1 : 512
      let longest = [4, 40, 400].randomElement(using: &generator)! * 512
      let start = Int.random(in: 0..<model.count / grain, using: &generator) * grain
      let count = Int.random(in: 0...min(longest, model.count - start) / grain, using: &generator) * grain
      switch generator.next() % 10 {
      case 0...3:
        let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: count)
        try disk.write(bytes, at: UInt64(start))
        model.replaceSubrange(start..<start + count, with: bytes)
      case 4, 5:
        if step % 2 == 0 {
          try disk.discard(at: UInt64(start), count: UInt64(count))
        } else {
          try disk.writeZeroes(at: UInt64(start), count: UInt64(count), mayUnmap: step % 3 == 0)
        }
        model.replaceSubrange(start..<start + count, with: repeatElement(0, count: count))
      case 6 where generator.next() % 8 == 0:
        if generator.next() % 2 == 0 { try disk.close() } else { try disk.flush() }
        disk = try rig.open().disk
      case 7:
        if start < model.count {
          let extent = try disk.extent(at: UInt64(start / 512 * 512), limit: .max)
          try #require(extent.end <= disk.size && extent.end > UInt64(start / 512 * 512))
          if extent.content == .zero {
            #expect(model[start / 512 * 512..<Int(extent.end)].allSatisfy { $0 == 0 } as Bool)
          }
        }
      default:
        try #require(disk.bytes(UInt64(start), count) == Array(model[start..<start + count]), "step \(step)")
      }
    }
    #expect(throws: Errno.invalid) { try disk.bytes(disk.size, 1) }
    #expect(throws: Errno.invalid) { try disk.write([1], at: .max) }
    #expect(throws: Errno.invalid) { try disk.discard(at: 512, count: .max) }
    try disk.close()
    for index in 0..<2 {
      #expect(try rig.copy().open([index]).disk.bytes(0, model.count) == model)
    }
  }

  @Test func `a side that fails is dropped once, and is not taken for current again`() throws {
    var rig = try Self.rig(64)
    let opened = try rig.open()
    try opened.disk.write(QCOW2Sectors.bytes([1, 2, 3]), at: 0)
    try opened.disk.flush()
    opened.files[0].fail(after: 0)
    try opened.disk.write(QCOW2Sectors.bytes([7, 8, 9]), at: 0)
    try opened.disk.write(QCOW2Sectors.bytes([5]), at: 40 * 512)
    #expect(opened.reports.all.map(\.sides) == [[.missing, .current]])
    #expect(opened.reports.all.map(\.isRecorded) == [true])
    #expect(try QCOW2Sectors.numbers(opened.disk)[..<3] == [7, 8, 9])
    try opened.disk.flush()
    // Both are given, the first is not read.
    var generator = Xorshift(seed: 1)
    rig.metadata = rig.metadata.powerCut(using: &generator)
    let again = try rig.open()
    #expect(again.disk.state.sides == [.missing, .current])
    #expect(try QCOW2Sectors.numbers(again.disk)[..<3] == [7, 8, 9])
    #expect(throws: MirrorError.noCurrentSide(name: "test.img", wanted: "side 1")) { try rig.open([0]) }
    // What it lacks is copied and no more: two regions of eight.
    try again.disk.attach(try rig.sides[0].open(again.files[0], name: "side 0"))
    #expect(again.disk.state.total - again.disk.state.done == 2 * 4096)
    #expect(throws: MirrorError.nothingMissing(name: "test.img")) {
      try again.disk.attach(rig.sides[0].open(again.files[0], name: "side 0"))
    }
    while try again.disk.copyNext() {}
    #expect(again.disk.state.sides == [.rebuilding, .current])
    try again.disk.checkpoint(clearingAfter: 0)
    #expect(again.disk.state.sides == [.current, .current])
    #expect(again.reports.all.map(\.sides) == [[.rebuilding, .current], [.current, .current]])
    try again.disk.close()
    let alone = try rig.open([0]).disk
    #expect(try QCOW2Sectors.numbers(alone)[..<3] == [7, 8, 9])
    #expect(alone.state.sides == [.current, .missing])
  }

  @Test func `the last side's errors go to the guest`() throws {
    let rig = try Self.rig(64)
    let opened = try rig.open()
    try opened.disk.write(QCOW2Sectors.bytes([1, 2, 3]), at: 0)
    opened.files[0].fail(after: 0)
    #expect(try QCOW2Sectors.numbers(opened.disk)[..<3] == [1, 2, 3])
    #expect(opened.disk.state.sides == [.missing, .current])
    opened.files[1].fail(after: 0)
    #expect(throws: Errno.io) { try opened.disk.bytes(0, 512) }
    #expect(throws: Errno.io) { try opened.disk.write([1], at: 0) }
    #expect(throws: Errno.io) { try opened.disk.flush() }
    #expect(opened.disk.state.sides == [.missing, .current])
    #expect(opened.reports.all.count == 1)
    opened.files[1].fail(after: .max - 1)
    #expect(try QCOW2Sectors.numbers(opened.disk)[..<3] == [1, 2, 3])
  }

  @Test func `what the source of a rebuild lost is copied again`() throws {
    let rig = try Self.rig(64)
    try rig.open([0]).disk.write(QCOW2Sectors.bytes([1, 2, 3]), at: 0)
    let opened = try rig.open([0])
    try opened.disk.attach(try rig.sides[1].open(opened.files[1], name: "side 1"))
    while try opened.disk.copyNext() {}
    #expect(opened.disk.state.sides == [.current, .rebuilding])
    opened.files[0].fail(after: 0)
    #expect(throws: Errno.io) { try opened.disk.write(QCOW2Sectors.bytes([7, 8, 9]), at: 0) }
    opened.files[0].fail(after: .max - 1)
    #expect(try QCOW2Sectors.numbers(opened.disk)[..<3] == [1, 2, 3])
    while try opened.disk.copyNext() {}
    try opened.disk.close()
    #expect(try rig.numbers(ofSide: 1, count: 64)[..<3] == [1, 2, 3])
    #expect(try rig.open([1]).disk.state.sides == [.missing, .current])
  }

  @Test func `no change is answered that the metadata would have to be told first`() throws {
    let rig = try Self.rig(64)
    let fuse = MirrorFuse()
    let files = rig.sides.map { MirrorFile($0.file, fuse) }
    let metadata = MirrorFile(rig.metadata, fuse)
    let disk = try MirrorImage(
      metadata: metadata, sides: try (0..<2).map { try rig.sides[$0].open(files[$0], name: "side \($0)") },
      inBackground: false)
    try disk.write(QCOW2Sectors.bytes([1]), at: 0)
    metadata.fail(after: 0)
    // The region is marked already, another is not.
    try disk.write(QCOW2Sectors.bytes([2]), at: 512)
    #expect(throws: Errno.io) { try disk.write(QCOW2Sectors.bytes([3]), at: 30 * 512) }
    files[1].fail(after: 0)
    #expect(throws: Errno.io) { try disk.write(QCOW2Sectors.bytes([4]), at: 512) }
    #expect(throws: Errno.io) { try disk.write(QCOW2Sectors.bytes([4]), at: 512) }
    #expect(throws: Errno.io) { try disk.flush() }
    #expect(disk.state.sides == [.current, .missing] && !disk.state.isRecorded)
    #expect(try QCOW2Sectors.numbers(disk)[..<2] == [1, 4])
    metadata.fail(after: .max - 1)
    try disk.write(QCOW2Sectors.bytes([5]), at: 512)
    #expect(disk.state.isRecorded)
    try disk.flush()
  }

  @Test(arguments: 1...12)
  func `a full side fails writes, stays, and is the same as the other`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    let rig = try MirrorRig(sectors: 100, withQCOW2: false, using: &generator)
    let opened = try rig.open()
    var model = MirrorModel(sectors: 100)
    var refusals = 0
    for _ in 0..<120 {
      let full = Int.random(in: 0...1, using: &generator)
      rig.sides[full].file.setSpace(sectors: Int.random(in: 0...20, using: &generator))
      do {
        try model.step(opened.disk, using: &generator)
      } catch let error as Errno {
        #expect(error == .noSpace)
        refusals += 1
      }
      rig.sides[full].file.setSpace(sectors: .max)
      let (first, second) = (try rig.numbers(ofSide: 0, count: 100), try rig.numbers(ofSide: 1, count: 100))
      try #require(first == second)
      // What was refused is there or not.
      model.wasCut()
      try model.read(opened.disk, 0..<100)
    }
    #expect(refusals > 2)
    #expect(opened.disk.state.isWhole && opened.reports.all.isEmpty)
  }

  @Test func `a new pair, and what cannot be one`() throws {
    func side(_ sectors: UInt64, _ low: UInt64, filled: UInt8 = 0) throws -> MirrorSide {
      let disk = try RawImage(TestFile(size: sectors * 512))
      if filled > 0 { try disk.write([UInt8](repeating: filled, count: Int(sectors) * 512), at: 0) }
      return MirrorSide(disk, identity: MirrorIdentity(high: 1, low: low), name: "side \(low)")
    }
    let metadata = TestFile()
    let (first, second) = (try side(20, 1, filled: 5), try side(16, 2, filled: 6))
    #expect(throws: MirrorError.sameSide(name: "test.img")) {
      try MirrorImage.create(metadata: metadata, first, first, areAlike: true)
    }
    try MirrorImage.create(metadata: metadata, first, second, areAlike: false)
    #expect(throws: MirrorError.noCurrentSide(name: "test.img", wanted: "side 1")) {
      try MirrorImage(metadata: metadata, sides: [second])
    }
    #expect(throws: MirrorError.foreignSide(name: "test.img", side: "side 3")) {
      try MirrorImage(metadata: metadata, sides: [first, side(20, 3)])
    }
    #expect(throws: MirrorError.sameSide(name: "test.img")) {
      try MirrorImage(metadata: metadata, sides: [first, first])
    }
    #expect(throws: MirrorError.readOnly(name: "test.img")) {
      try MirrorImage(metadata: ReadOnlyFile(metadata), sides: [first])
    }
    let disk = try MirrorImage(metadata: metadata, sides: [second, first], inBackground: false)
    #expect(disk.size == 16 * 512)
    #expect(disk.state.sides == [.current, .rebuilding] && disk.state.done == 0)
    #expect(disk.state.names == ["side 1", "side 2"])
    #expect(try disk.bytes(0, 16 * 512) == [UInt8](repeating: 5, count: 16 * 512))
    while try disk.copyNext() {}
    try disk.close()
    #expect(try second.disk.bytes(0, 16 * 512) == [UInt8](repeating: 5, count: 16 * 512))
    let alone = try MirrorImage(metadata: metadata, sides: [second], inBackground: false)
    #expect(throws: MirrorError.tooSmall(side: "side 4", size: 512, expected: 16 * 512)) {
      try alone.attach(side(1, 4))
    }
    #expect(throws: MirrorError.sameSide(name: "test.img")) { try alone.attach(second) }
    #expect(throws: MirrorError.nameTooLong(side: String(repeating: "x", count: 1025))) {
      try alone.attach(
        MirrorSide(
          first.disk, identity: .random(), name: String(repeating: "x", count: 1025)))
    }
  }

  @Test(arguments: 1...4)
  func `threads, a side that fails, and one that comes`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    let sectors = 256
    var rig = try MirrorRig(sectors: sectors, withQCOW2: seed % 2 == 0, using: &generator)
    let opened = try rig.open(inBackground: true)
    let disk = opened.disk
    let failures = Atomic(0)
    let threads = try (0..<4).map { index in
      try Thread.start(name: "writer") {
        var generator = Xorshift(seed: seed * 100 + UInt64(index))
        for step in 0..<300 {
          let start = Int.random(in: 0..<sectors - 20, using: &generator)
          let count = Int.random(in: 1...20, using: &generator)
          do {
            switch generator.next() % 8 {
            case 0...3:
              let number = UInt64(index + 1) << 32 | UInt64(step)
              try disk.write(
                QCOW2Sectors.bytes([UInt64](repeating: number, count: count)), at: UInt64(start) * 512)
            case 4:
              try disk.discard(at: UInt64(start) * 512, count: UInt64(count) * 512)
            case 5: try disk.flush()
            case 6: try disk.checkpoint(clearingAfter: 0)
            default: _ = try disk.bytes(UInt64(start) * 512, count * 512)
            }
          } catch {
            failures.add(1, ordering: .relaxed)
          }
        }
      }
    }
    opened.files[1].fail(after: 200)
    while !disk.state.sides.contains(.missing) { usleep(1000); _ = try? disk.bytes(4096, 4096) }
    rig.sides[1] = try MirrorRig.side(sectors: sectors + 9, isQCOW2: false, using: &generator)
    try disk.attach(try rig.sides[1].open(MirrorFile(rig.sides[1].file, MirrorFuse()), name: "new"))
    for thread in threads { thread.join() }
    #expect(failures.load(ordering: .relaxed) == 0)
    // The background makes it current.
    for _ in 0..<60_000 where !disk.state.isWhole { usleep(1000) }
    #expect(disk.state.isWhole && disk.state.done == disk.state.total)
    try disk.close()
    let numbers = try rig.numbers(ofSide: 0, count: sectors)
    #expect(numbers.allSatisfy { $0 != nil })
    #expect(try rig.numbers(ofSide: 1, count: sectors) == numbers)
    #expect(opened.reports.all.filter { $0.sides == [.current, .missing] }.count == 1)
  }

  @Test func `files of the host, and regions of their usual size`() throws {
    let size = 40 << 20
    func file() throws -> HostFile {
      let file = try HostFile(DiskImages.temporaryFile(in: "/tmp"), name: "side", readOnly: false)
      try file.resize(to: UInt64(size))
      return file
    }
    func side(_ low: UInt64) throws -> MirrorSide {
      MirrorSide(try RawImage(file()), identity: MirrorIdentity(high: 0, low: low), name: "side \(low)")
    }
    let metadata = try HostFile(DiskImages.temporaryFile(in: "/tmp"), name: "metadata", readOnly: false)
    let (first, second, third) = (try side(1), try side(2), try side(3))
    try MirrorImage.create(metadata: metadata, first, second, areAlike: true)
    let disk = try MirrorImage(metadata: metadata, sides: [first])
    var model = [UInt8](repeating: 0, count: size)
    func write(_ byte: UInt8, _ offset: Int, _ count: Int) throws {
      try disk.write([UInt8](repeating: byte, count: count), at: UInt64(offset))
      model.replaceSubrange(offset..<offset + count, with: repeatElement(byte, count: count))
    }
    try write(1, 3 << 20 - 4096, 2 << 20)
    try write(2, 20 << 20, 512)
    try disk.attach(third)
    for index in 0..<40 { try write(UInt8(index + 3), index << 20 + 0x8000, 4096) }
    for _ in 0..<60_000 where !disk.state.isWhole { usleep(1000) }
    #expect(disk.state.isWhole)
    try disk.close()
    #expect(try disk.bytes(0, size) == model)
    for side in [first, third] { #expect(try side.disk.bytes(0, size) == model) }
    #expect(try third.disk.extent(at: 30 << 20 + 0x9000, limit: .max).content == .zero, "holes stay holes")
  }

  @Test func `a mirror that nobody holds ends its thread`() throws {
    let rig = try Self.rig(64)
    weak var disk: MirrorImage?
    try {
      let opened = try rig.open(inBackground: true)
      disk = opened.disk
      try opened.disk.write(QCOW2Sectors.bytes([1]), at: 0)
    }()
    for _ in 0..<60_000 where disk != nil { usleep(1000) }
    #expect(disk == nil)
  }
}
