import GuestMemory
import KVM
import Testing

/// The pages that guests write, as guest memory comes to know of them.
@Suite(.enabled(if: KVMHost.isUsable, KVMHost.reason), .timeLimit(.minutes(30)))
struct DirtyLogTests {
  private func dirtyPages(_ guest: Guest) -> Set<UInt64> {
    Set(
      (0..<guest.memory.size >> GuestMemory.pageShift).filter {
        guest.memory.flags(ofPage: $0) & GuestMemory.PageFlag.dirty != 0
      }.map { guest.memory.address(ofPage: $0) })
  }

  private func forget(_ guest: Guest) {
    for page in 0..<guest.memory.size >> GuestMemory.pageShift {
      guest.memory.clearFlags(GuestMemory.PageFlag.dirty, ofPage: page)
    }
  }

  @Test func notesWrites() throws {
    let data = Guest.Place.data
    let high = Guest.Place.high
    let guest = try Guest(
      Code.write(address: data, 8, 1) + Code.write(address: data + 0x5FFC, 8, 1)
        + Code.write(address: high + 0x3000, 1, 1) + Code.load(.rbx, data + 0x9000) + Code.fetch(8)
        + Code.halt)
    // Page tables are written too: their accessed and dirty bits.
    let tables = Guest.Place.tables..<Guest.Place.interruptTable

    try guest.machine.setDirtyLogging(true)
    forget(guest)
    #expect(try guest.machine.collectDirtyPages() == 0)
    #expect(guest.run() == .halted)
    #expect(dirtyPages(guest).isEmpty)
    #expect(try guest.machine.collectDirtyPages() >= 4)
    let written: Set<UInt64> = [data, data + 0x5000, data + 0x6000, high + 0x3000]
    // A page that was only read may count as written: nested paging maps it for both.
    let onlyRead: Set<UInt64> = [Guest.Place.code, data + 0x9000]
    func noted() -> Set<UInt64> { dirtyPages(guest).filter { !tables.contains($0) }.subtracting(onlyRead) }
    #expect(noted() == written)

    // Nothing since; then the same pages again.
    forget(guest)
    #expect(try guest.machine.collectDirtyPages() == 0)
    try guest.put(Code.write(address: data + 0x5000, 1, 1) + Code.halt, at: Guest.Place.code)
    try guest.start()
    forget(guest)
    #expect(guest.run() == .halted)
    try guest.machine.collectDirtyPages()
    #expect(noted() == [data + 0x5000])

    // And none when nobody asks.
    try guest.machine.setDirtyLogging(false)
    try guest.start()
    forget(guest)
    #expect(guest.run() == .halted)
    #expect(try guest.machine.collectDirtyPages() == 0)
    #expect(dirtyPages(guest).isEmpty)
  }
}
