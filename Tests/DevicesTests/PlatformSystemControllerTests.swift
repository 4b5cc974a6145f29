internal import Devices
internal import Testing

@Suite("System controller") struct PlatformSystemControllerTests {
  @Test(
    arguments: [
      (0x5555, .powerOff(code: nil)), (0x1234_5555, .powerOff(code: nil)), (0x7777, .reset),
      (0x3333, .powerOff(code: 0)), (0x002A_3333, .powerOff(code: 42)),
      (0xFFFF_3333, .powerOff(code: 0xFFFF)), (0, nil), (0x5556, nil), (0x5555_0000, nil),
    ] as [(UInt64, PowerRequest?)])
  func requests(value: UInt64, expected: PowerRequest?) throws {
    let requests = PlatformLog<PowerRequest>()
    let controller = SystemController { requests.append($0) }
    try controller.write(offset: 0, width: 4, value: value)
    #expect(requests.all == (expected.map { [$0] } ?? []))
    #expect(try controller.read(offset: 0, width: 4) == 0)
  }

  @Test func otherAccesses() {
    let controller = SystemController { _ in Issue.record("nothing was asked") }
    #expect(throws: BusFault.badWidth) { try controller.write(offset: 0, width: 8, value: 0x5555) }
    #expect(throws: BusFault.noRegister) { try controller.write(offset: 4, width: 4, value: 0x5555) }
    #expect(throws: BusFault.noRegister) { try controller.read(offset: 4, width: 4) }
  }
}
