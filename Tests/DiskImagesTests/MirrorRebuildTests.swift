import DiskImages
import HostSystem
import Testing

/// Rebuilds that are killed again and again, and one history that is cut at each of its operations.
@Suite struct MirrorRebuildTests {
  @Test(arguments: 1...20)
  func `a rebuild that is killed goes on, and counts for nothing before its end`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    let sectors = 300
    var rig = try MirrorRig(sectors: sectors, withQCOW2: seed % 4 == 0, using: &generator)
    var model = MirrorModel(sectors: sectors)
    let whole = try rig.open().disk
    model.change(0..<sectors) { UInt64($0) + 1 << 40 }
    try whole.write(QCOW2Sectors.bytes((0..<sectors).map { UInt64($0) + 1 << 40 }), at: 0)
    try whole.close()
    model.flushed()
    let lost = Int.random(in: 0...1, using: &generator)
    let alone = try rig.open([1 - lost]).disk
    rig.sides[lost] = try MirrorRig.side(sectors: sectors, isQCOW2: seed % 3 == 0, using: &generator)
    try alone.attach(
      try rig.sides[lost].open(MirrorFile(rig.sides[lost].file, MirrorFuse()), name: "side \(lost)"))
    var isComplete = false
    var lives = 0
    while !isComplete, lives < 200 {
      lives += 1
      let fuse = MirrorFuse(Int.random(in: 1...60, using: &generator))
      do {
        let disk = try rig.open([0, 1], fuse).disk
        #expect(disk.state.sides[lost] == .rebuilding)
        while disk.state.sides[lost] == .rebuilding {
          switch generator.next() % 8 {
          case 0: try model.step(disk, using: &generator)
          case 1: try disk.checkpoint(clearingAfter: 0)
          default:
            if try !disk.copyNext() {
              try disk.checkpoint(clearingAfter: 0)
              model.flushed()
            }
          }
        }
        isComplete = true
      } catch let error where fuse.isBlown {
        #expect(error is MirrorError || error is DiskImageError || error as? Errno == .io)
      }
      rig.cut(using: &generator)
      model.wasCut()
      let found = try rig.copy().open().disk
      isComplete = found.state.isWhole
      if !isComplete {
        try #require(throws: MirrorError.noCurrentSide(name: "test.img", wanted: "side \(1 - lost)")) {
          try rig.copy().open([lost])
        }
      }
      let disk = isComplete ? try rig.open().disk : try rig.open([0, 1]).disk
      try model.read(disk, 0..<sectors)
      try disk.flush()
      model.flushed()
    }
    #expect(isComplete && lives > 2)
    let disk = try rig.open().disk
    while try disk.copyNext() {}
    try disk.close()
    for index in 0..<2 { try model.read(rig.copy().open([index]).disk, 0..<sectors) }
  }

  /// Writes, a side that fails, one that comes, and a close: the same operations each time.
  private static func history(
    _ rig: inout MirrorRig, _ fuse: MirrorFuse, _ model: inout MirrorModel, using generator: inout Xorshift
  ) throws {
    let opened = try rig.open([0, 1], fuse)
    for _ in 0..<25 { try model.step(opened.disk, using: &generator) }
    opened.files[1].fail(after: 0)
    for _ in 0..<12 { try model.step(opened.disk, using: &generator) }
    rig.sides[1] = try MirrorRig.side(sectors: 60, isQCOW2: false, using: &generator)
    do {
      try opened.disk.attach(try rig.sides[1].open(MirrorFile(rig.sides[1].file, fuse), name: "side 1"))
    } catch MirrorError.system(_, _, let error) {
      throw error
    }
    for _ in 0..<25 { try model.step(opened.disk, using: &generator) }
    while try opened.disk.copyNext() {}
    try opened.disk.close()
    model.flushed()
  }

  @Test(arguments: 1...4)
  func `cut at every operation`(seed: UInt64) throws {
    var operations = 0
    var isDone = false
    while !isDone {
      operations += 1
      var generator = Xorshift(seed: seed)
      var rig = try MirrorRig(sectors: 60, withQCOW2: false, using: &generator)
      var model = MirrorModel(sectors: 60)
      do {
        try Self.history(&rig, MirrorFuse(operations), &model, using: &generator)
        isDone = true
      } catch let error as Errno {
        #expect(error == .io)
      } catch MirrorError.system(_, _, .io) {
      }
      var chance = Xorshift(seed: UInt64(operations) * 7919)
      rig.cut(using: &chance)
      model.wasCut()
      let disk = try rig.openKnown().disk
      try model.read(disk, 0..<60)
      try model.read(disk, 0..<60)
      while try disk.copyNext() {}
      try disk.close()
      for index in 0..<2 where disk.state.isWhole {
        try model.read(rig.copy().open([index]).disk, 0..<60)
      }
    }
    #expect(operations > 100)
  }
}
