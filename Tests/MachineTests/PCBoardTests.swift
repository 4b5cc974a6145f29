import Devices
import GuestMemory
import HostSystem
import KVM
import Machine
import Testing

/// What a PC's power-on leaves in memory beside the kernel.
@Suite(.enabled(if: (try? KVMSystem()) != nil, "it needs /dev/kvm"))
struct PCBoardTests {
  private static let seedPlace: UInt64 = 0x8010

  private func board() throws -> PCBoard {
    let memory = try GuestMemory(regions: PCMap.ram(size: 64 << 20).regions)
    return try PCBoard(
      KVMMachine(
        system: KVMSystem(), memory: memory, cpus: 1, interruptChip: .split(inputs: IOAPIC.inputCount)))
  }

  private func guest() throws -> LinuxGuest {
    let kernel = SampleKernel.bzImage(
      payload: try SampleKernel.compress(SampleKernel.likeLinux(megabytes: 1).elf, with: "LZ4"))
    return LinuxGuest(
      kernel: try SampleKernel.descriptor(kernel), entropySeed: (0..<32).map { _ in .random(in: 0...255) })
  }

  private func bytes(_ board: PCBoard, _ address: UInt64, _ count: Int) throws -> [UInt8] {
    try board.memory.slice(at: address, count: count).copyBytes()
  }

  /// A seed is for one start.
  @Test func eachStartHasASeedOfItsOwn() throws {
    let (board, guest) = (try board(), try guest())
    defer { board.stopDevices() }
    try board.powerOn(guest)
    #expect(try bytes(board, Self.seedPlace, 32) == guest.entropySeed)
    let again = guest.restarted()
    #expect(again.entropySeed.count == 32 && again.entropySeed != guest.entropySeed)
    try board.powerOn(again)
    #expect(try bytes(board, Self.seedPlace, 32) == again.entropySeed)
    #expect(guest.restarted().entropySeed != again.entropySeed)
  }

  /// The generation ID stays through restarts, and guests are told of another.
  @Test func generationIsToldApart() throws {
    let (board, guest, other) = (try board(), try guest(), try self.board())
    defer {
      board.stopDevices()
      other.stopDevices()
    }
    // Behind the root pointer's page.
    let place = PCMap.rootPointer + 4096
    try board.powerOn(guest)
    try other.powerOn(guest)
    let first = try bytes(board, place, 16)
    #expect(try first != bytes(other, place, 16))
    try board.powerOn(guest.restarted())
    #expect(try bytes(board, place, 16) == first)
    #expect(board.power.state.events.isEmpty)
    board.renewGeneration()
    let second = try bytes(board, place, 16)
    #expect(second != first && board.power.state.events == .generationChanged)
    try board.powerOn(guest.restarted())
    #expect(try bytes(board, place, 16) == second && board.power.state.events.isEmpty)
  }
}
