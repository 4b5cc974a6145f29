import Devices
import GuestMemory
import HostSystem
import Machine
import MachineControl
import RISCV
import Testing

/// The state of each part of a board: what is kept is what is gone on from, and whatever may come is brought into
/// range. The cases are made of the parts' own states, field by field, so that a field that is added is tried too.
@Suite struct BoardStateTests {
  static func board(_ bus: MachineConfiguration.VirtioBus) throws -> VirtBoard {
    try VirtBoard(memorySize: 64 << 20, cpus: 2, code: nil, clock: MachineClock(manual: true), virtioBus: bus)
    {
      memory throws(Errno) in
      let (_, port) = try UnixSocket.pair(.sequencedPacket)
      let (_, broker) = try UnixSocket.pair(.sequencedPacket)
      return [
        try VirtioNet(port: port.descriptor, mac: [2, 0, 0, 0, 0, 1]),
        try VirtioConsole(ports: [.init(), .init(name: "org.volary.control")]),
        try VirtioEntropy(), try VirtioBalloon(memory: memory),
        try VirtioSocket(broker: broker),
      ]
    }
  }

  static func kept(_ board: VirtBoard) throws -> MachineState {
    var parts = StateParts()
    try board.name(parts: &parts)
    return MachineState(
      build: MachineState.Build(board), memory: .init(files: [], chunkShift: 16, sources: []),
      parts: parts.parts)
  }

  static func restore(_ board: VirtBoard, _ state: MachineState) throws {
    var parts = StateParts(restoring: state)
    try board.name(parts: &parts)
    try parts.finish()
  }

  /// The leaves of a value, each with a few other values in its place.
  static func variants(_ value: CBORValue) -> [CBORValue] {
    switch value {
    case .unsigned(let number):
      let others: [UInt64] = [
        0, 1, 2, 0xF, 0xFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 63, .max, number ^ 1, number &+ 1,
      ]
      return Set(others).subtracting([number]).sorted().map { .unsigned($0) }
    case .bool(let flag): return [.bool(!flag)]
    case .array(let items):
      // Of a long list of the same, a few.
      let places = items.count < 12 ? [Int](items.indices) : [0, 1, items.count / 2, items.count - 1]
      var all: [CBORValue] = [.array([])]
      for place in places {
        for other in variants(items[place]) {
          var changed = items
          changed[place] = other
          all.append(CBORValue.array(changed))
        }
      }
      if let last = items.last { all += [.array(items + [last]), .array([CBORValue](items.dropLast()))] }
      return all
    case .map(let pairs):
      var all: [CBORValue] = []
      for place in pairs.indices {
        for other in variants(pairs[place].value) {
          var changed = pairs
          changed[place].value = other
          all.append(CBORValue.map(changed))
        }
      }
      return all
    default: return []
    }
  }

  @Test(arguments: [MachineConfiguration.VirtioBus.mmio, .pci])
  func eachFieldOfEachPart(bus: MachineConfiguration.VirtioBus) throws {
    let board = try Self.board(bus)
    let start = try Self.kept(board)
    #expect(start.parts.count >= 13)
    #expect(start.parts.allSatisfy { MachineState.kinds[$0.kind] == $0.version })
    var tried = 0
    for (index, part) in start.parts.enumerated() {
      for variant in Self.variants(try CBORValue(decoding: part.content.bytes)) {
        var state = start
        state.parts[index].content = StateBytes(variant.encoded())
        tried += 1
        // What does not fit the type is refused; what does is taken as far as it makes sense.
        do { try Self.restore(board, state) } catch is MachineStateError { continue }
        let taken = try Self.kept(board)
        try Self.restore(board, taken)
        #expect(try Self.kept(board) == taken, "\(part.name): \(variant)")
      }
      try Self.restore(board, start)
      #expect(try Self.kept(board) == start, "\(part.name)")
    }
    #expect(tried > 1000, "\(tried)")
    board.end()
    board.stopDevices()
  }

  @Test func everyPartIsWanted() throws {
    let board = try Self.board(.mmio)
    let state = try Self.kept(board)
    #expect(try MachineState(decoding: state.encoded()) == state)
    for index in state.parts.indices {
      var less = state
      let part = less.parts.remove(at: index)
      #expect(throws: MachineStateError.missing(part.name)) { try Self.restore(board, less) }
      var newer = state
      newer.parts[index].version += 1
      #expect(
        throws: MachineStateError.otherVersion(of: part.name, kept: part.version + 1, by: volaryVersion)
      ) { try Self.restore(board, newer) }
    }
    var more = state
    more.parts.append(.init(name: "frobnicator", kind: "none", version: 1, content: StateBytes([0])))
    #expect(throws: MachineStateError.unread(["frobnicator"])) { try Self.restore(board, more) }
    var other = state.build
    other.cpus = 4
    #expect(throws: MachineStateError.differs("number of CPUs", kept: "2", here: "4")) {
      try state.check(fits: other)
    }
    #expect(throws: MachineStateError.notOurs) { try MachineState(decoding: [0xA0]) }
    #expect(throws: MachineStateError.damaged("it ends too early")) {
      let bytes: [UInt8] = try state.encoded()
      return try MachineState(decoding: [UInt8](bytes.dropLast(5)))
    }
    board.end()
    board.stopDevices()
  }
}
