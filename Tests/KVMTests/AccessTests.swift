import GuestMemory
import KVM
import Testing

/// Ports and addresses, as a guest's instructions reach a bus.
@Suite(.enabled(if: KVMHost.isUsable, KVMHost.reason), .timeLimit(.minutes(30)))
struct AccessTests {
  @Test(arguments: [1, 2, 4]) func writesPorts(_ width: Int) throws {
    let guest = try Guest(Code.write(port: 0x3F8, width, 0x8765_4321) + Code.halt)
    #expect(guest.run() == .halted)
    let mask = UInt32.max >> UInt32(32 - 8 * width)
    #expect(guest.bus.accesses == [.portWrite(0x3F8, width: width, 0x8765_4321 & mask)])
  }

  @Test(arguments: [1, 2, 4]) func readsPorts(_ width: Int) throws {
    let code = Code.load(.rax, 0x1111_2222_3333_4444) + Code.load(.rdx, 0x64) + Code.in(width) + Code.halt
    // More than was asked for, which must not get through.
    let guest = try Guest(code, answer: { _ in 0xFFFF_FFFF_8765_4321 })
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses == [.portRead(0x64, width: width)])
    // A write to EAX clears the upper half, writes to AX and AL do not.
    let expected: UInt64 =
      width == 1 ? 0x1111_2222_3333_4421 : width == 2 ? 0x1111_2222_3333_4321 : 0x8765_4321
    #expect(try guest.cpu.generalRegisters().rax == expected)
  }

  @Test(arguments: [1, 2, 4]) func writesStringsToPorts(_ width: Int) throws {
    let count = 9
    let repeated: [UInt8] = width == 1 ? [0xF3, 0x6E] : width == 2 ? [0x66, 0xF3, 0x6F] : [0xF3, 0x6F]
    let guest = try Guest(
      Code.load(.rsi, Guest.Place.data) + Code.load(.rcx, UInt64(count)) + Code.load(.rdx, 0xE9) + repeated
        + Code.halt)
    let text = (0..<count * width).map { UInt8($0 * 7 + 1) }
    try guest.put(text, at: Guest.Place.data)
    #expect(guest.run() == .halted)
    #expect(
      guest.bus.accesses
        == (0..<count).map { number in
          let part = text[(number * width)..<((number + 1) * width)]
          return .portWrite(0xE9, width: width, part.reversed().reduce(0) { $0 << 8 | UInt32($1) })
        })
    #expect(try guest.cpu.generalRegisters().rcx == 0)
  }

  @Test func readsStringsFromPorts() throws {
    let guest = try Guest(
      Code.load(.rdi, Guest.Place.data) + Code.load(.rcx, 5) + Code.load(.rdx, 0x1F0) + [0x66, 0xF3, 0x6D]
        + Code.halt, answer: { _ in 0xABCD })
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses.allSatisfy { $0 == .portRead(0x1F0, width: 2) })
    let bytes = try guest.memory.slice(at: Guest.Place.data, count: 12).copyBytes()
    #expect(bytes == [0xCD, 0xAB, 0xCD, 0xAB, 0xCD, 0xAB, 0xCD, 0xAB, 0xCD, 0xAB, 0, 0])
  }

  @Test(arguments: [1, 2, 4, 8]) func writesAddresses(_ width: Int) throws {
    let guest = try Guest(
      Code.write(address: Guest.Place.nothing + 0x10, width, 0x8877_6655_4433_2211) + Code.halt)
    #expect(guest.run() == .halted)
    let mask = UInt64.max >> UInt64(64 - 8 * width)
    #expect(
      guest.bus.accesses == [.write(Guest.Place.nothing + 0x10, width: width, 0x8877_6655_4433_2211 & mask)])
  }

  @Test(arguments: [1, 2, 4, 8]) func readsAddresses(_ width: Int) throws {
    let code =
      Code.load(.rax, 0x1111_1111_1111_1111) + Code.load(.rbx, Guest.Place.nothing) + Code.fetch(width)
      + Code.halt
    let guest = try Guest(code, answer: { _ in 0x8877_6655_4433_2211 })
    #expect(guest.run() == .halted)
    #expect(guest.bus.accesses == [.read(Guest.Place.nothing, width: width)])
    let expected: [Int: UInt64] = [
      1: 0x1111_1111_1111_1111, 2: 0x1111_1111_1111_2211, 4: 0x4433_2211, 8: 0x8877_6655_4433_2211,
    ]
    #expect(try guest.cpu.generalRegisters().rax == expected[width])
  }

  /// An access across two pages comes in two parts, none of which need be a power of two.
  @Test func splitsWhatCrossesPages() throws {
    let address = Guest.Place.nothing + 0xFFD
    let guest = try Guest(
      Code.write(address: address, 8, 0x8877_6655_4433_2211) + Code.load(.rax, 0) + Code.fetch(8) + Code.halt,
      answer: { access in
        guard case .read(let address, _) = access else { return 0 }
        // Each address holds its own lowest byte.
        return (0..<8).reduce(0) { $0 | ((address + UInt64($1)) & 0xFF) << UInt64(8 * $1) }
      })
    #expect(guest.run() == .halted)
    var seen: [UInt64: UInt8] = [:]
    for access in guest.bus.accesses {
      guard case .write(let place, let width, let value) = access else { continue }
      #expect([1, 2, 4, 8].contains(width))
      for byte in 0..<width {
        seen[place + UInt64(byte)] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
      }
    }
    #expect(seen == Dictionary(uniqueKeysWithValues: (0..<8).map { (address + $0, UInt8(0x11 * ($0 + 1))) }))
    #expect(try guest.cpu.generalRegisters().rax == 0x0403_0201_00FF_FEFD)
  }

  @Test func reachesMemoryAboveTheHole() throws {
    let guest = try Guest(
      Code.write(address: Guest.Place.high + 0x8, 8, 0x0123_4567_89AB_CDEF)
        + Code.write(address: Guest.Place.high + 0x100000, 4, 7) + Code.halt)
    #expect(guest.run() == .halted)
    #expect(
      try guest.memory.slice(at: Guest.Place.high, count: 16).load(UInt64.self, at: 8)
        == 0x0123_4567_89AB_CDEF)
    // Behind its end is nothing again.
    #expect(guest.bus.accesses == [.write(Guest.Place.high + 0x100000, width: 4, 7)])
  }
}
