import DiskImages
import HostSystem
import Testing

/// Mirrors whose files lose what was not synced, each by itself, and whose sides fail, go and come.
@Suite struct MirrorPowerCutTests {
  /// Cuts in a life of a mirror.
  static let lives = 8
  static let cuts = QCOW2Tools.numberFromEnvironment("VOLARY_MIRROR_CUTS") ?? 480

  /// A pair and what it holds, over many cuts.
  struct History {
    var rig: MirrorRig
    var model: MirrorModel
    var log: [String] = []
    let sectors: Int
    let withQCOW2: Bool

    init(using generator: inout Xorshift) throws {
      sectors = Int.random(in: 20...120, using: &generator)
      withQCOW2 = generator.next() % 4 == 0
      rig = try MirrorRig(sectors: sectors, withQCOW2: withQCOW2, using: &generator)
      model = MirrorModel(sectors: sectors)
    }

    /// Operations until one fails, because everything ended or the last side did.
    mutating func live(using generator: inout Xorshift) throws {
      let isKilled = generator.next() % 4 != 0
      let fuse = MirrorFuse(isKilled ? Int.random(in: 1...200, using: &generator) : .max)
      var which = [0, 1]
      let known = try state()
      if known.isWhole, generator.next() % 8 == 0 { which = [Int.random(in: 0...1, using: &generator)] }
      log.append("open \(which) of \(known.sides)")
      let opened: MirrorRig.Opened
      do {
        opened = try rig.openKnown(which, fuse)
      } catch let error where fuse.isBlown {
        log.append("not opened: \(error)")
        return
      }
      let disk = opened.disk
      let failing = generator.next() % 4 == 0 ? Int.random(in: 0...1, using: &generator) : nil
      if let failing { opened.files[failing].fail(after: Int.random(in: 0...60, using: &generator)) }
      let wasWhole = disk.state.isWhole
      let count = Int.random(in: 1...50, using: &generator)
      let attaching = Int.random(in: 0..<count, using: &generator)
      for number in 0..<count {
        do {
          if number == attaching { try attach(disk, fuse, using: &generator) }
          try model.step(disk, using: &generator)
        } catch let error as Errno {
          log.append("\(error)")
          try #require(error == .io, "\(log)")
          // One side that fails is not the guest's affair.
          try #require(fuse.isBlown || !wasWhole, "\(log)")
          return
        }
      }
      let states = opened.reports.all
      if wasWhole, failing != nil, !fuse.isBlown, let failing, opened.files[failing].hasFailed,
        !rig.sides[failing].isQCOW2
      {
        try #require(states.filter { $0.sides[failing] == .missing }.count == 1, "\(states) \(log)")
      }
      log.append("lived, \(disk.state.sides)")
    }

    /// Puts the missing side back, or another in its place.
    mutating func attach(_ disk: MirrorImage, _ fuse: MirrorFuse, using generator: inout Xorshift) throws {
      guard let missing = disk.state.sides.firstIndex(of: .missing) else { return }
      if generator.next() % 2 == 0 {
        rig.sides[missing] = try MirrorRig.side(
          sectors: sectors + 3, isQCOW2: withQCOW2 && generator.next() % 2 == 0, using: &generator)
        let garbage = (0..<sectors).map { _ in generator.next() }
        if !rig.sides[missing].isQCOW2 {
          try QCOW2Sectors.bytes(garbage).withUnsafeBytes {
            try rig.sides[missing].file.write(at: 0, from: $0)
          }
        }
        log.append("new side \(missing)")
      } else {
        log.append("side \(missing) again")
      }
      do {
        try disk.attach(
          try rig.sides[missing].open(MirrorFile(rig.sides[missing].file, fuse), name: "side \(missing)"))
      } catch MirrorError.system(_, _, let error) {
        throw error
      } catch DiskImageError.system(_, _, let error) {
        // A qcow2 image that marks itself as open.
        throw error
      }
    }

    /// What the metadata say, found without a change to the files.
    func state() throws -> MirrorState {
      var generator = Xorshift(seed: 1)
      var copy = rig
      try rig.metadata.sync()
      copy.metadata = rig.metadata.powerCut(using: &generator)
      return try copy.openKnown().disk.state
    }

    /// Reads after a cut: everything or a part, with copying in between.
    mutating func verify(using generator: inout Xorshift) throws {
      let opened = try rig.openKnown()
      let disk = opened.disk
      log.append("found \(disk.state.sides), \(disk.state.done) of \(disk.state.total)")
      try #require(disk.size == UInt64(sectors) * 512)
      model.wasCut()
      for _ in 0..<10 {
        let range = model.sectors(using: &generator)
        try model.read(disk, range)
        if disk.state.isWhole {
          // What was read is the same on both sides.
          for index in 0..<2 {
            let numbers = try rig.numbers(ofSide: index, count: sectors)
            for sector in range where !rig.sides[index].isQCOW2 {
              try #require(numbers[sector] == model.current[sector], "\(sector) of \(index) \(log)")
            }
          }
        }
        if generator.next() % 3 == 0 { try disk.copyNext() }
      }
      guard generator.next() % 3 != 0 else {
        // The next opening finds regions that nobody has looked at.
        try disk.flush()
        model.flushed()
        return
      }
      try model.read(disk, 0..<sectors)
      while try disk.copyNext() {}
      try disk.checkpoint(clearingAfter: 0)
      try model.read(disk, 0..<sectors)
      model.flushed()
      let state = disk.state
      try #require(state.done == state.total || state.sides.contains(.missing), "\(state) \(log)")
      try #require(!state.sides.contains(.rebuilding), "\(log)")
      guard state.isWhole else { return }
      for index in 0..<2 {
        let copy = try rig.copy()
        let alone = try copy.open([index]).disk
        var model = model
        try model.read(alone, 0..<sectors)
        try model.read(alone, 0..<sectors)
      }
    }
  }

  @Test(arguments: 1...max(1, cuts / lives))
  func `what was flushed is there, and what was read stays`(seed: Int) throws {
    var generator = Xorshift(seed: UInt64(seed))
    var history = try History(using: &generator)
    for number in 0..<Self.lives {
      do {
        try history.live(using: &generator)
        history.rig.cut(using: &generator)
        history.log.append("cut \(number)")
        try history.verify(using: &generator)
      } catch {
        Issue.record("\(error) in seed \(seed), life \(number)\n\(history.log.joined(separator: "\n"))")
        return
      }
    }
  }

  @Test(arguments: 1...40)
  func `a change during a flush keeps its mark`(seed: UInt64) throws {
    var generator = Xorshift(seed: seed)
    var rig = try MirrorRig(sectors: 64, withQCOW2: false, using: &generator)
    let disk = try rig.open().disk
    var model = MirrorModel(sectors: 64)
    model.change(0..<30) { UInt64($0) + 1000 }
    try disk.write(QCOW2Sectors.bytes((0..<30).map { UInt64($0) + 1000 }), at: 0)
    // The first side has been flushed by then, or has not.
    rig.sides[seed % 2 == 0 ? 0 : 1].file.afterNextSync {
      try? disk.write(QCOW2Sectors.bytes((0..<20).map { UInt64($0) + 2000 }), at: 10 * 512)
    }
    try disk.checkpoint(clearingAfter: 0)
    model.flushed()
    model.change(10..<30) { UInt64($0) - 10 + 2000 }
    for sector in 10..<30 { model.possible[sector] = [UInt64(sector) + 1000, UInt64(sector) + 1990] }
    for index in 0..<2 { rig.sides[index].file = rig.sides[index].file.powerCut(using: &generator) }
    rig.metadata = rig.metadata.powerCut(using: &generator)
    model.wasCut()
    let after = try rig.open().disk
    #expect(after.state.total - after.state.done == 3 * 4096)
    try model.read(after, 0..<64)
    try after.close()
    for index in 0..<2 { try model.read(rig.copy().open([index]).disk, 0..<64) }
  }
}
