import Devices
import Testing

@Suite struct VirtioEntropyTests {
  @Test(arguments: [false, true]) func fillsBuffers(indirect: Bool) throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start()
    let rooms = (0..<3).map { _ in guest.allocate(1000) }
    let used = try guest.queues[0].call(rooms.map { .writable($0, 1000) }, indirect: indirect)
    #expect(used.written == 3000)
    for room in rooms {
      // Of 1000 random bytes, about 251 of the 256 values appear; fewer than 200 would be a miracle.
      #expect(Set(guest.bytes(at: room, 1000)).count > 200)
    }
  }

  @Test func largeRequestsAreAnsweredInPart() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start()
    let room = guest.allocate(1 << 20)
    let used = try guest.queues[0].call([.writable(room, 1 << 20)])
    #expect(used.written == 64 << 10)
    #expect(guest.bytes(at: room + 0x10000, 100) == [UInt8](repeating: 0, count: 100))
  }

  @Test func requestsWithoutRoomAreAnswered() throws {
    let guest = try VirtioGuest(try VirtioEntropy())
    guest.start()
    #expect(try guest.queues[0].call([.readable(guest.allocate(8), 8)]).written == 0)
    #expect(try guest.queues[0].call([.writable(guest.allocate(8), 0)]).written == 0)
  }
}
