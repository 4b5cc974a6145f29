import Glibc
import HostSystem
import MachineControl
import Networking
import Testing

/// Frames that no sane guest sends. The NAT is restricted, so that nothing of them reaches a socket.
@Suite struct FuzzTests {
  @Test(arguments: 1...4)
  func `random frames`(seed: UInt64) throws {
    var generator = Generator(state: seed &* 0x9E37_79B9_7F4A_7C15 | 1)
    var configuration = NATConfiguration()
    configuration.isRestricted = true
    let port = try HostSockets.freePort()
    configuration.publishedPorts = [PublishedPort(hostPort: port, guestPort: 80)]
    var sent = 0
    let stack = try SlirpStack(configuration, send: { _ in sent += 1 })
    let client = try HostSockets.connected(SOCK_STREAM, to: port)
    let mac: [UInt8] = [0x52, 0x55, 10, 0, 2, 2]
    let guest = configuration.guest
    let seeds: [[UInt8]] = [
      Frames.arp(operation: 1, from: guest, to: configuration.host, mac: mac),
      Frames.arp(operation: 2, from: guest, to: configuration.host, mac: mac),
      NATTests.dhcp(type: 1), NATTests.dhcp(type: 3),
      Frames.ipv4(protocol: 1, from: guest, to: configuration.host, mac: mac, [8, 0, 0, 0, 1, 2, 0, 1]),
      Frames.ipv4(
        protocol: 17, from: guest, to: configuration.host, mac: mac,
        Frames.udp(from: 9, to: 69, [0, 1] + Array("boot\0octet\0".utf8))),
      Frames.ipv4(
        protocol: 6, from: guest, to: configuration.host, mac: mac,
        Frames.bytes(80 as UInt16) + [0x9C, 0x40, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x12, 0xFF, 0xFF, 0, 0, 0, 0]),
      Frames.ethernet(
        to: [0x33, 0x33, 0, 0, 0, 2], type: 0x86DD,
        [0x60, 0, 0, 0, 0, 16, 58, 255] + [0xFE, 0x80] + [UInt8](repeating: 1, count: 14) + [0xFF, 2]
          + [UInt8](repeating: 0, count: 13) + [2, 133, 0, 0, 0, 0, 0, 0, 0, 1, 1] + Frames.guestMAC),
    ]
    for round in 0..<20_000 {
      var frame = seeds[Int(generator.next() % UInt64(seeds.count))]
      switch generator.next() % 8 {
      case 0:
        frame = (0..<Int(generator.next() % 2000)).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
      case 1: frame.removeLast(Int(generator.next() % UInt64(frame.count)))
      case 2: frame += [UInt8](repeating: UInt8(truncatingIfNeeded: generator.next()), count: 1000)
      case 3: break
      default:
        for _ in 0...Int(generator.next() % 6) {
          frame[Int(generator.next() % UInt64(frame.count))] = UInt8(truncatingIfNeeded: generator.next())
        }
      }
      frame.withUnsafeBytes { stack.receive($0) }
      if round % 16 == 0 {
        let (waits, timeout) = stack.prepare()
        #expect(timeout >= -1)
        var ready = waits
        for index in ready.indices {
          var wait = pollfd(fd: ready[index].descriptor, events: ready[index].events, revents: 0)
          poll(&wait, 1, 0)
          ready[index].revents = wait.revents
        }
        // At times a loop that gets it all wrong.
        if generator.next() % 64 == 0 { ready.removeLast(min(1, ready.count)) }
        stack.handle(ready)
      }
    }
    #expect(sent > 100)
    #expect(client.raw >= 0)
  }

  struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return state
    }
  }
}
