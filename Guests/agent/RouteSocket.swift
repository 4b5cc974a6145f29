import System

/// The kernel's word on interfaces and addresses (rtnetlink(7)).
struct RouteSocket {
  private enum Kind {
    static let done: UInt16 = 3
    static let error: UInt16 = 2
    static let newLink: UInt16 = 16
    static let getLink: UInt16 = 18
    static let setLink: UInt16 = 19
    static let newAddress: UInt16 = 20
    static let getAddress: UInt16 = 22
  }

  let descriptor: Int

  init(groups: UInt32) throws(Failure) {
    // AF_NETLINK, SOCK_RAW, NETLINK_ROUTE.
    descriptor = try Kernel.call(AGENT_SYS_socket, 16, 3 | Kernel.OpenFlags.closeOnExec, 0)
    var address = agent_netlink_address(family: 16, pad: 0, process: 0, groups: groups)
    let result = withUnsafeMutablePointer(to: &address) {
      agent_call(
        AGENT_SYS_bind, descriptor, Int(bitPattern: $0), MemoryLayout<agent_netlink_address>.size, 0, 0, 0)
    }
    if result < 0 {
      Kernel.close(descriptor)
      throw Failure(code: -result)
    }
  }

  /// Forgets what has come.
  func drain() {
    Kernel.setNonblocking(descriptor)
    while let bytes = try? Kernel.read(descriptor, 64 << 10), !bytes.isEmpty {}
  }

  /// All interfaces with their addresses. The socket is closed then.
  func interfaces() throws(Failure) -> [GuestReport.Interface] {
    defer { Kernel.close(descriptor) }
    var found: [(index: UInt32, interface: GuestReport.Interface)] = []
    try dump(Kind.getLink) { kind, message in
      guard kind == Kind.newLink, message.count >= 16, found.count < 128 else { return }
      var interface = GuestReport.Interface()
      interface.flags = number(message, 8)
      attributes(message, from: 16) { type, value in
        switch type {
        case 1: interface.hardwareAddress = value
        case 3: interface.name = Array(value.prefix { $0 != 0 })
        case 4 where value.count >= 4: interface.mtu = number(value, 0)
        // IFLA_STATS64: packets in and out, bytes in and out, errors in and out, dropped in and out.
        case 23 where value.count >= 64:
          for index in 0..<8 {
            interface.counters[index] =
              UInt64(number(value, 8 * index)) | UInt64(number(value, 8 * index + 4)) << 32
          }
        default: break
        }
      }
      found.append((number(message, 4), interface))
    }
    try dump(Kind.getAddress) { kind, message in
      guard kind == Kind.newAddress, message.count >= 8 else { return }
      let index = number(message, 4)
      guard let place = found.firstIndex(where: { $0.index == index }),
        found[place].interface.addresses.count < 64
      else { return }
      var bytes: [UInt8] = []
      attributes(message, from: 8) { type, value in
        // IFA_LOCAL is this side's where a line has two; IFA_ADDRESS else.
        if type == 2 || (type == 1 && bytes.isEmpty) { bytes = value }
      }
      guard bytes.count == 4 || bytes.count == 16 else { return }
      found[place].interface.addresses.append(.init(prefix: message[1], scope: message[3], bytes: bytes))
    }
    return found.map { $0.interface }
  }

  /// Gives the interfaces with one hardware address another; the only Ethernet card there is, if none has it, as when
  /// the guest was copied before it had learnt who it is. The socket is closed then.
  func setAddress(_ new: [UInt8], where old: [UInt8]) throws(Failure) {
    defer { Kernel.close(descriptor) }
    var indices: [UInt32] = []
    var cards: [UInt32] = []
    try dump(Kind.getLink) { kind, message in
      guard kind == Kind.newLink, message.count >= 16 else { return }
      // ARPHRD_ETHER.
      if message[2] == 1, message[3] == 0 { cards.append(number(message, 4)) }
      attributes(message, from: 16) { type, value in
        if type == 1, value == old { indices.append(number(message, 4)) }
      }
    }
    if indices.isEmpty, cards.count == 1 { indices = cards }
    for index in indices {
      var request = AgentWriter()
      // A header, a struct ifinfomsg, and IFLA_ADDRESS filled up to a multiple of four.
      request.integer(UInt32(16 + 16 + 12))
      request.integer(Kind.setLink)
      // NLM_F_REQUEST, NLM_F_ACK.
      request.integer(UInt16(0x5))
      request.integer(UInt32(2))
      request.integer(UInt32(0))
      request.integer(UInt32(0))
      request.integer(index)
      request.integer(UInt64(0))
      request.integer(UInt16(4 + 6))
      request.integer(UInt16(1))
      try Kernel.writeAll(descriptor, request.bytes + new + [0, 0])
      let answer = try Kernel.read(descriptor, 4096)
      guard answer.count >= 20, UInt16(answer[4]) | UInt16(answer[5]) << 8 == Kind.error else {
        throw Failure(code: Failure.invalid)
      }
      let code = Int(Int32(bitPattern: number(answer, 16)))
      if code != 0 { throw Failure(code: -code) }
    }
  }

  private func dump(_ kind: UInt16, _ body: (UInt16, [UInt8]) -> Void) throws(Failure) {
    var request = AgentWriter()
    request.integer(UInt32(20))
    request.integer(kind)
    // NLM_F_REQUEST, NLM_F_DUMP.
    request.integer(UInt16(0x301))
    request.integer(UInt32(1))
    request.integer(UInt32(0))
    // A struct rtgenmsg of any family, filled up.
    request.integer(UInt32(0))
    try Kernel.writeAll(descriptor, request.bytes)
    while true {
      let bytes = try Kernel.read(descriptor, 64 << 10)
      var place = 0
      while place + 16 <= bytes.count {
        let length = Int(number(bytes, place))
        guard length >= 16, place + length <= bytes.count else { throw Failure(code: Failure.invalid) }
        let type = UInt16(bytes[place + 4]) | UInt16(bytes[place + 5]) << 8
        if type == Kind.done || type == Kind.error { return }
        body(type, Array(bytes[place + 16..<place + length]))
        place += (length + 3) & ~3
      }
      if bytes.isEmpty { return }
    }
  }

  private func attributes(_ message: [UInt8], from start: Int, _ body: (Int, [UInt8]) -> Void) {
    var place = start
    while place + 4 <= message.count {
      let length = Int(message[place]) | Int(message[place + 1]) << 8
      guard length >= 4, place + length <= message.count else { return }
      let type = (Int(message[place + 2]) | Int(message[place + 3]) << 8) & 0x3fff
      body(type, Array(message[place + 4..<place + length]))
      place += (length + 3) & ~3
    }
  }

  private func number(_ bytes: [UInt8], _ place: Int) -> UInt32 {
    UInt32(bytes[place]) | UInt32(bytes[place + 1]) << 8 | UInt32(bytes[place + 2]) << 16
      | UInt32(bytes[place + 3]) << 24
  }
}
