import Devices
import GuestMemory
import RISCV
import Translator

/// Tables in a guest's memory: device trees, page tables, instructions.
extension FuzzTarget {
  static let tables = [
    FuzzTarget("device-tree", deviceTree), FuzzTarget("page-walk", pageWalk), FuzzTarget("decoder", decoder),
  ]

  // MARK: - Device trees

  private static func deviceTree(_ random: inout FuzzRandom) throws {
    var blob = sampleTree(&random).blob(padding: random.below(3) * 16)
    if random.once(in: 20) { blob = random.bytes(random.below(400)) }
    random.mutate(&blob)
    let tree = try DeviceTree(blob: blob)
    let again = try DeviceTree(blob: tree.blob())
    precondition(again == tree, "a tree is read as it was written")
    _ = tree.node(at: "/soc/serial@10000000")?["reg"]?.u64
  }

  private static func sampleTree(_ random: inout FuzzRandom) -> DeviceTree {
    var tree = DeviceTree()
    tree.property("#address-cells", .cells([2]))
    tree.property("compatible", .strings(["riscv-virtio", "board"]))
    let handle = tree.newPHandle()
    let depth = random.below(4)
    let cells = (0..<random.below(6)).map { _ in UInt32(truncatingIfNeeded: random.number()) }
    tree.node("soc") { soc in
      soc.phandle(handle)
      soc.node("serial", at: 0x1000_0000) {
        $0.property("reg", .u64([0x1000_0000, 0x100]))
        $0.property("cells", .cells(cells))
      }
      for number in 0..<depth { soc.node("n\(number)") { $0.property("empty") } }
    }
    tree.reservations = (0..<random.below(3)).map { .init(address: UInt64($0) << 20, size: 4096) }
    return tree
  }

  // MARK: - Page tables

  private static let base: UInt64 = 0x8000_0000
  private static let pages = 64

  private static func pageWalk(_ random: inout FuzzRandom) throws {
    let memory = try GuestMemory(regions: [(base, pages * 4096)])
    let slice = try memory.slice(at: base, count: pages * 4096)
    for _ in 0..<(200 + random.below(2000)) {
      slice.store(entry(&random), at: 8 * random.below(pages * 512))
    }
    var state = HartState()
    for _ in 0..<200 {
      let mode = random.pick([PageWalk.Mode.bare, PageWalk.Mode.sv39, PageWalk.Mode.sv48, PageWalk.Mode.sv57])
      let root =
        random.once(in: 10) ? random.next() & 0xFFF_FFFF_FFFF : base >> 12 + UInt64(random.below(pages))
      state.translation = mode << 60 | random.next() & 0xFFFF << 44 | root
      state.status = random.next() & (Status.permitUserMemory | Status.makeExecutableReadable)
      // Few addresses, so that walks meet entries that were written.
      let address =
        random.once(in: 3) ? random.number() : UInt64(bitPattern: Int64(bitPattern: random.next()) >> 25)
      let kind = random.pick([AccessKind.read, .write, .execute])
      guard
        let result = try? PageWalk.find(
          address, kind, state: state, privilege: random.pick([.user, .supervisor]), memory: memory)
      else { continue }
      precondition(result.page & 0xFFF == 0 && result.size >= 4096)
    }
  }

  /// A page table entry: any bits, or one that leads on or ends properly but for a bit.
  private static func entry(_ random: inout FuzzRandom) -> UInt64 {
    if random.once(in: 8) { return random.next() }
    let frame = (base >> 12 + UInt64(random.below(pages))) << 10
    var entry = frame | random.pick([0x1, 0x1, 0x1, 0xCF, 0xDF, 0x47, 0x4B, 0xD7])
    if random.once(in: 4) { entry = entry & ~(0x3FFFF << 10) | 0x80000 << 10 }
    if random.once(in: 6) { entry ^= 1 << UInt64(random.below(64)) }
    return entry
  }

  // MARK: - Instructions

  private static func decoder(_ random: inout FuzzRandom) throws {
    for _ in 0..<500 {
      let bits = UInt32(truncatingIfNeeded: random.next())
      let instruction = Decoder.decode(bits)
      precondition([2, 4].contains(instruction.length))
      _ = InstructionTable.row(of: instruction)
      _ = Disassembler.text(bits, at: random.number())
    }
  }
}
