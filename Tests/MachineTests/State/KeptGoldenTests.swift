import Devices
import Foundation
import GuestMemory
import HostSystem
import Machine
import MachineControl
import Testing

/// States that earlier versions kept of a guest that ran, with a device of each kind: this version goes on from them.
/// Tests/Golden/kept has a file for each version of what is kept; a change that no longer reads one has to raise the
/// version of the part that it changes, or of the whole, and to say so in docs/decisions/0015.
@Suite struct KeptGoldenTests {
  /// A disk of zeroes.
  final class EmptyStorage: BlockStorage {
    let size: UInt64
    let isReadOnly = false
    init(size: UInt64) { self.size = size }
    func read(at offset: UInt64, into target: UnsafeMutableRawBufferPointer) throws(Errno) {
      target.initializeMemory(as: UInt8.self, repeating: 0)
    }
    func write(at offset: UInt64, from source: UnsafeRawBufferPointer) throws(Errno) {}
    func flush() throws(Errno) {}
    func discard(at offset: UInt64, count: UInt64) throws(Errno) {}
    func writeZeroes(at offset: UInt64, count: UInt64, mayUnmap: Bool) throws(Errno) {}
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
      "../../Golden/kept")
    return [UInt8](try Data(contentsOf: folder.appendingPathComponent(name)))
  }

  /// The board of an instance, as the state says that it was.
  static func board(_ build: MachineState.Build) throws -> VirtBoard {
    try VirtBoard(
      memorySize: build.memory, cpus: build.cpus, code: nil, clock: MachineClock(manual: true),
      virtioBus: .mmio
    ) { memory throws(Errno) in
      let (_, port) = try UnixSocket.pair(.sequencedPacket)
      let (_, broker) = try UnixSocket.pair(.sequencedPacket)
      return [
        try VirtioBlock(storage: EmptyStorage(size: 1 << 30), serial: "root"),
        try VirtioNet(port: port.descriptor, mac: [2, 0, 0, 0, 0, 1]),
        try VirtioConsole(ports: [.init(name: "org.volary.console"), .init(name: "org.volary.control")]),
        try VirtioEntropy(), try VirtioBalloon(memory: memory), try VirtioSocket(broker: broker),
      ]
    }
  }

  @Test(arguments: ["virt-1.state"])
  func earlierVersionsAreGoneOnFrom(name: String) throws {
    let state = try MachineState(decoding: try Self.bytes(name))
    let board = try Self.board(state.build)
    defer {
      board.end()
      board.stopDevices()
    }
    // Memory of zeroes, in one file as in a snapshot's.
    let memory = try Descriptor.memory(name: "memory")
    try memory.truncate(to: Int64(state.build.memory))
    try board.restore(state, memory: [memory])
    let kept = try BoardStateTests.kept(board)
    for (part, then) in zip(kept.parts, state.parts) { #expect(part == then, "\(part.name)") }
    #expect(kept.parts.count == state.parts.count)
    // A guest that ran: its first CPU had paging on, and each device a driver.
    #expect(state.parts.count >= 6 + 2 * 6)
  }

  /// One clear line, whatever the rest of another version looks like.
  @Test func laterVersionsAreRefused() throws {
    let bytes = try Self.bytes("virt-1.state")
    guard case .map(var pairs) = try CBORValue(decoding: bytes) else {
      Issue.record("no map")
      return
    }
    let place = try #require(pairs.firstIndex { $0.key == "version" })
    pairs[place].value = .unsigned(UInt64(MachineState.version + 1))
    pairs.removeAll { $0.key == "parts" }
    pairs.append((key: "pieces", value: .null))
    let program = try MachineState(decoding: bytes).program
    let error = #expect(throws: MachineStateError.self) {
      try MachineState(decoding: CBORValue.map(pairs).encoded())
    }
    #expect(
      error?.description
        == "the state was kept in version \(MachineState.version + 1) by Volary \(program): go on with that program, or start anew"
    )
  }
}
