import Devices
import GuestMemory
import HostSystem
import Machine
import MachineControl
import RISCV
import Translator

/// Boards that go on from what chance made of a state that was kept, and of the map of its memory.
extension FuzzTarget {
  static let savedState = [
    FuzzTarget("saved-state") { try StateFuzz.run(&$0) },
    FuzzTarget("saved-state-bytes") { try StateFuzz.decode(&$0) },
  ]
}

private enum StateFuzz {
  private static let memorySize: UInt64 = 16 << 20
  /// Nanoseconds that a guest runs which was put together so.
  private static let life: UInt64 = 1_000_000

  private final class SilentDelegate: HartClusterDelegate {
    func guestRequested(_ request: SystemResetRequest) {}
    func debugConsoleWrite(_ bytes: UnsafeRawBufferPointer) {}
    func report(_ line: String) {}
  }

  /// A board that worked goes on from state after state; whatever comes, it starts again after a reset.
  static func run(_ random: inout FuzzRandom) throws {
    let host = try VirtioFuzzHost()
    let time = FuzzTime()
    let isPCI = random.once(in: 2)
    let store = random.once(in: 2) ? try CodeStore(architecture: Lifter.architecture, options: .small) : nil
    let board = try VirtBoard(
      memorySize: memorySize, cpus: 1 + random.below(2), code: store,
      wallClock: WallClock(now: { time.now }, alarms: time), virtioBus: isPCI ? .pci : .mmio
    ) { (memory) throws(Errno) in
      do { return try host.devices(memory) } catch { throw error as? Errno ?? .invalid }
    }
    defer {
      board.end()
      board.stopDevices()
    }
    board.cluster.delegate = SilentDelegate()
    board.cluster.setHalted(true)
    var parts = StateParts()
    try board.name(parts: &parts)
    for _ in 0..<8 {
      let layers = try layers(&random, chunkSize: board.memory.chunkSize)
      let state = MachineState(build: .init(board), memory: layers, parts: parts.parts)
      let changed = mutated(try CBORValue(decoding: state.encoded()), &random)
      // As a machine does that runs: nothing is left of what it was.
      board.resetDevices()
      board.forgetMemory()
      board.forgetContents()
      do {
        try board.restore(try MachineState(decoding: changed.encoded()), memory: layers.files)
        if random.once(in: 3) { try live(board) }
        host.act(&random)
        // What was taken can be kept again.
        var again = StateParts()
        try board.name(parts: &again)
      } catch {}
    }
    board.reset(entering: LinuxLoader.Layout(kernel: VirtMap.memory, deviceTree: VirtMap.memory, initrd: nil))
    var after = StateParts()
    try board.name(parts: &after)
    precondition(after.parts.count == parts.parts.count, "a board that was reset has all its parts")
  }

  /// A state of a board's without virtio devices.
  private static let sample: [UInt8]? = {
    guard let board = try? VirtBoard(memorySize: memorySize, cpus: 1, code: nil) else { return nil }
    var parts = StateParts()
    try? board.name(parts: &parts)
    defer { board.end() }
    return try? MachineState(
      build: .init(board), memory: .init(files: [], chunkShift: 16, sources: [0, 1, 2]), parts: parts.parts
    ).encoded()
  }()

  /// Any bytes as a state.
  static func decode(_ random: inout FuzzRandom) throws {
    guard var bytes = sample else { return }
    random.mutate(&bytes)
    let read = try MachineState(decoding: bytes)
    let again = try MachineState(decoding: read.encoded())
    precondition(again == read, "what was read is written as it was read")
  }

  private static func live(_ board: VirtBoard) throws {
    board.cluster.setHalted(false)
    let threads = try board.cluster.harts.map { hart in
      try Thread.start(name: "cpu\(hart.id)") { hart.run() }
    }
    let end = monotonicNanoseconds() + life
    while monotonicNanoseconds() < end { hostYield() }
    board.cluster.setHalted(true)
    for thread in threads { thread.join() }
  }

  /// Files of memory with something in them, most of them as long as memory, and most chunks in one that is there.
  private static func layers(_ random: inout FuzzRandom, chunkSize: Int) throws -> GuestMemory.Layers {
    let files = try (0..<(1 + random.below(3))).map { _ in
      let file = try Descriptor.memory(name: "layer")
      try file.truncate(to: random.once(in: 30) ? Int64(random.below(1 << 25)) : Int64(memorySize))
      try file.writeAll(random.bytes(4096)[...], at: UInt64(random.below(Int(memorySize) - 4096)))
      return file
    }
    let shift = random.once(in: 30) ? random.below(70) : chunkSize.trailingZeroBitCount
    let count = random.once(in: 30) ? random.below(2000) : Int(memorySize) / chunkSize
    let sources = (0..<count).map { _ in UInt8(random.once(in: 2000) ? 255 : random.below(files.count)) }
    return GuestMemory.Layers(files: files, chunkShift: shift, sources: sources)
  }

  // MARK: - Changes

  /// A few items changed, wherever they are: in the parts' contents too.
  private static func mutated(_ value: CBORValue, _ random: inout FuzzRandom) -> CBORValue {
    var value = value
    for _ in 0..<(1 << random.below(4)) { value = changed(value, &random) }
    return value
  }

  private static func changed(_ value: CBORValue, _ random: inout FuzzRandom) -> CBORValue {
    if random.once(in: 200) { return any(&random) }
    switch value {
    case .unsigned, .negative: return .unsigned(random.number())
    case .bool(let flag): return .bool(!flag)
    case .null, .double: return any(&random)
    case .text(let text): return .text(random.once(in: 2) ? String(text.dropLast()) : text + "x")
    case .bytes(var bytes):
      if !random.once(in: 10), let inner = try? CBORValue(decoding: bytes) {
        return .bytes(changed(inner, &random).encoded())
      }
      random.mutate(&bytes)
      return .bytes(bytes)
    case .array(var items):
      guard !items.isEmpty, !random.once(in: 12) else {
        return .array(items + Array(repeating: items.last ?? any(&random), count: random.below(70)))
      }
      let place = random.below(items.count)
      if random.once(in: 12) {
        items.remove(at: place)
      } else {
        items[place] = changed(items[place], &random)
      }
      return .array(items)
    case .map(var pairs):
      guard !pairs.isEmpty else { return any(&random) }
      // The head is refused as soon as it is another, so mostly what is behind it.
      let place =
        random.once(in: 8) ? random.below(pairs.count) : pairs.count - 1 - random.below((pairs.count + 1) / 2)
      if random.once(in: 60) {
        pairs.remove(at: place)
      } else {
        pairs[place].value = changed(pairs[place].value, &random)
      }
      return .map(pairs)
    }
  }

  private static func any(_ random: inout FuzzRandom) -> CBORValue {
    switch random.below(7) {
    case 0: .unsigned(random.number())
    case 1: .negative(random.number())
    case 2: .bytes(random.bytes(random.below(100)))
    case 3: .text("any")
    case 4: .array((0..<random.below(40)).map { _ in .unsigned(random.number()) })
    case 5: .map([("any", .null)])
    default: .null
    }
  }
}

extension CodeStore.Options {
  fileprivate static var small: CodeStore.Options {
    var options = CodeStore.Options()
    options.arenaSize = 4 << 20
    options.coldRuns = 1
    return options
  }
}
