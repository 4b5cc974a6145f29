import Devices
import GuestMemory
import HostSystem

/// The host's side of a machine's virtio devices, one of each kind, moved by chance.
final class VirtioFuzzHost {
  /// In order of the devices.
  static let kinds = VirtioFuzzRequest.Kind.allCases

  /// The ends of a line of packets and of a stream.
  private let frames: (UnixSocket, UnixSocket)
  private let console: (UnixSocket, UnixSocket)
  private let broker: (UnixSocket, UnixSocket)
  private let sockets: SocketFuzzHost

  init() throws {
    frames = try UnixSocket.pair(.sequencedPacket)
    console = try UnixSocket.pair(.stream)
    broker = try UnixSocket.pair(.sequencedPacket)
    for end in [frames.0, frames.1, console.0, console.1] { try end.descriptor.setNonblocking(true) }
    sockets = try SocketFuzzHost(broker.0)
  }

  /// The devices, which no other host may have.
  func devices(_ memory: GuestMemory) throws -> [any VirtioDevice] {
    [
      try VirtioBlock(storage: FuzzStorage(), serial: "fuzz"),
      try VirtioNet(port: frames.1.descriptor, mac: [0x52, 0x54, 0, 1, 2, 3]),
      try VirtioConsole(ports: [.init(socket: console.1.descriptor), .init(name: "a")]),
      try VirtioEntropy(), try VirtioBalloon(memory: memory), try VirtioSocket(broker: broker.1),
    ]
  }

  func act(_ random: inout FuzzRandom) {
    if random.once(in: 2) { return sockets.act(&random) }
    let end = random.pick([frames.0, console.0])
    _ = try? end.send(random.bytes(random.below(200)))
    if (try? end.waitUntilReadable(milliseconds: 0)) == true { _ = try? end.receive(capacity: 4096) }
  }
}

/// A broker, which another may replace, and the programs of the host that it brings.
final class SocketFuzzHost {
  private var broker: UnixSocket
  /// What another broker is given to, if that is to be.
  var device: VirtioSocket?
  private var programs: [UnixSocket] = []

  init(_ broker: UnixSocket) throws {
    self.broker = broker
    try broker.descriptor.setNonblocking(true)
  }

  func act(_ random: inout FuzzRandom) {
    if let device, random.once(in: 40) { replaceBroker(of: device) }
    switch random.below(8) {
    case 0: hand(0, &random, greeting: true)
    case 1, 2: answer(&random)
    case 3: if random.once(in: 10) { _ = try? broker.send(random.bytes(1 + random.below(20))) }
    case 4: if !programs.isEmpty { programs.remove(at: random.below(programs.count)) }
    case 5: programs.randomElement(using: &random)?.finishSending()
    case 6: _ = try? programs.randomElement(using: &random)?.receive(capacity: 1 + random.below(100_000))
    default: _ = try? programs.randomElement(using: &random)?.send(random.bytes(1 + random.below(2000)))
    }
  }

  private func replaceBroker(of device: VirtioSocket) {
    guard let (ours, machine) = try? UnixSocket.pair(.sequencedPacket),
      (try? ours.descriptor.setNonblocking(true)) != nil, (try? device.attach(broker: machine)) != nil
    else { return }
    broker = ours
  }

  private func answer(_ random: inout FuzzRandom) {
    guard let bytes = try? broker.receive(capacity: 64).bytes,
      let message = GuestPortMessage(decoding: bytes)
    else { return }
    precondition(message.request != 0, "requests have numbers")
    if random.once(in: 5) { return _ = try? broker.send(GuestPortMessage(request: message.request).encoded) }
    hand(message.request, &random, greeting: false)
  }

  private func hand(_ request: UInt32, _ random: inout FuzzRandom, greeting: Bool) {
    guard programs.count < 20, let (ours, itsOwn) = try? UnixSocket.pair(.stream) else { return }
    try? ours.descriptor.setNonblocking(true)
    if greeting {
      var line = Array("CONNECT \(random.pick([1, 2, 3, 5, 1000]))\n".utf8)
      if random.once(in: 10) { random.mutate(&line) }
      _ = try? ours.send(line)
    }
    _ = try? broker.send(GuestPortMessage(request: request).encoded, descriptors: [itsOwn.descriptor])
    programs.append(ours)
  }
}
