import Devices
import GuestMemory
import Machine
import Testing

/// Where a PC's RAM lies, for sizes around the hole below 4 GiB.
@Suite struct PCMapTests {
  @Test(
    arguments: [
      64 << 20, 512 << 20, 3 << 30, (3 << 30) + 4096, 4 << 30, 16 << 30, (5 << 30) + 12345,
    ] as [UInt64])
  func regionsAndMapAgree(size: UInt64) throws {
    let ram = PCMap.ram(size: size)
    #expect(ram.regions.reduce(0) { $0 + UInt64($1.size) } == size & ~4095)
    // In order, none over another.
    for (lower, upper) in zip(ram.map, ram.map.dropFirst()) {
      #expect(lower.range.upperBound <= upper.range.lowerBound)
    }
    let memory = try GuestMemory(regions: ram.regions)
    for entry in ram.map where entry.kind == .usable {
      #expect(memory.region(of: entry.range.lowerBound, count: entry.range.count) != nil)
    }
    let usable = ram.map.filter { $0.kind == .usable }.reduce(0) { $0 + UInt64($1.range.count) }
    #expect(usable == (size & ~4095) - (384 << 10))
    // Firmware's tables have memory, devices have none.
    #expect(memory.region(of: PCMap.rootPointer, count: 0x6_0000) != nil)
    #expect(memory.region(of: PCMap.pciMemory32.lowerBound, count: 1) == nil)
    #expect(memory.region(of: PCMap.localAPIC, count: 1) == nil)
    #expect(PCIHostBridge.memory64(behind: memory.end).lowerBound >= memory.end)
    #expect(memory.end == (size > 3 << 30 ? (1 << 32) + (size & ~4095) - (3 << 30) : size))
  }
}
