import Glibc
import GuestMemory
import HostSystem
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

  /// The log of all writers: the guest's own and a device's.
  @Test func logsGuestAndDevice() throws {
    let data = Guest.Place.data
    let guest = try Guest(
      Code.write(address: data, 8, 1) + Code.write(address: data + 0x5FFC, 8, 1)
        + Code.write(address: Guest.Place.high + 0x3000, 1, 1) + Code.halt)
    let log = DirtyLog(guest.memory, sources: [guest.machine])
    try guest.put([1], at: data + 0x8000)
    try log.start()
    #expect(try log.take().isEmpty)
    #expect(guest.run() == .halted)
    try guest.put([1, 2], at: data + 0x9FFF)
    func isOfInterest(_ address: UInt64) -> Bool {
      // The guest's page tables have accessed bits, and its code may count as written: nested paging maps both.
      address != Guest.Place.code && !(Guest.Place.tables..<Guest.Place.interruptTable).contains(address)
    }
    func taken() throws -> [UInt64] {
      try log.take().ranges.joined().map { guest.memory.address(ofPage: $0) }.filter(isOfInterest)
    }
    let written = [0, 0x5000, 0x6000, 0x9000, 0xA000].map { data + $0 } + [Guest.Place.high + 0x3000]
    #expect(try taken() == written)
    #expect(try taken() == [])
    try log.stop()
    try guest.start()
    #expect(guest.run() == .halted)
    // What was written meanwhile is no part of a new log.
    try log.start()
    #expect(try taken() == [])
    try log.stop()
  }

  /// A guest counts in the words of many pages and a device in others of the same, while sets are taken and what they
  /// name is copied. In the end the copy is the memory.
  @Test func nothingIsLostWhileGuestsWrite() throws {
    let (first, pages) = (Guest.Place.high, 96 as UInt64)
    let guest = try Guest(
      // mov rbx, first; mov rcx, pages; again: inc qword [rbx]; add rbx, 0x1000; dec rcx; jnz again; jmp to the start
      Code.load(.rbx, first) + Code.load(.rcx, pages)
        + [0x48, 0xFF, 0x03, 0x48, 0x81, 0xC3, 0, 0x10, 0, 0, 0x48, 0xFF, 0xC9, 0x75, 0xF1, 0xEB, 0xDB])
    let log = DirtyLog(guest.memory, sources: [guest.machine])
    try log.start()
    var mirror = [UInt64: [UInt8]]()
    func read(_ page: Int) throws -> [UInt8] {
      try guest.memory.slice(at: guest.memory.address(ofPage: page), count: 4096).copyBytes()
    }
    let count = guest.memory.size >> GuestMemory.pageShift
    for page in 0..<count { mirror[UInt64(page)] = try read(page) }
    let runner = try Thread.start(name: "cpu") { [guest] in
      while guest.run() != .paused {}
    }
    var sets = 0
    let end = monotonicNanoseconds() + (KVMHost.isHardware ? 1_000_000_000 : 3_000_000_000)
    while monotonicNanoseconds() < end || sets < 20 {
      // The device, in the second word of a page.
      let page = first + UInt64(sets) % pages << 12
      try guest.memory.slice(at: page + 8, count: 8).store(UInt64(sets), at: 0)
      for page in try log.take().ranges.joined() { mirror[UInt64(page)] = try read(page) }
      sets += 1
      usleep(500)
    }
    guest.machine.pause()
    runner.join()
    for page in try log.take().ranges.joined() { mirror[UInt64(page)] = try read(page) }
    for page in 0..<count { #expect(try mirror[UInt64(page)] == read(page), "page \(page)") }
    // It did count, and each page was in some set.
    #expect(try guest.memory.slice(at: first, count: 8).load(UInt64.self, at: 0) > 0)
    #expect(try log.take().isEmpty)
    try log.stop()
  }
}
