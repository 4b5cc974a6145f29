import HostSystem
import MachineControl
import Testing

/// A generator that gives the same numbers in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}

enum Samples {
  static let configuration = MachineConfiguration(
    name: "debian-13", engine: .translator, resetAction: .end, cpus: 4, memory: 2 << 30,
    boot: .kernel(.init(0, initrd: [1, 2], append: "console=ttyS0 quiet")),
    disks: [
      .init(file: 3, layers: [.init(4)], format: .overlay, size: 10 << 30, ephemeral: true, serial: "root"),
      .init(file: 5, format: .raw, size: 512, readOnly: true, serial: "seed"),
    ],
    network: .init(frames: 6, mac: [0x52, 0x54, 0, 1, 2, 3]),
    consolePorts: [
      .init(name: "org.volary.console", stream: 7), .init(name: "org.volary.control", stream: 8),
    ],
    serial: 9, entropySeed: Array(0..<32))
  static let descriptorCount = 10

  /// The same, whose end and output are kept.
  static let kept: MachineConfiguration = {
    var configuration = Samples.configuration
    configuration.record = 10
    configuration.consoleLog = 11
    return configuration
  }()

  /// The same, profiled.
  static let profiled: MachineConfiguration = {
    var configuration = Samples.configuration
    configuration.profile = 10
    configuration.perfMap = 11
    return configuration
  }()

  /// A machine on KVM.
  static let accelerated: MachineConfiguration = {
    var configuration = Samples.configuration
    configuration.architecture = .amd64
    configuration.engine = .kvm
    configuration.virtioBus = .pci
    configuration.kvm = 10
    configuration.sockets = .init(broker: 11, guestCID: 77)
    configuration.network?.isTAP = true
    configuration.network?.vhost = 12
    return configuration
  }()

  /// A machine that firmware starts.
  static let started: MachineConfiguration = {
    var configuration = Samples.accelerated
    configuration.boot = .firmware(.init(code: 0, variables: 1, keepsVariables: true))
    return configuration
  }()

  /// The same, with a disk on a server.
  static let remote: MachineConfiguration = {
    var configuration = Samples.configuration
    configuration.disks.append(
      .init(
        file: 10, format: .qcow2, size: 0, serial: "data",
        server: .init(export: "data/1", name: "nbd://store/data%2F1")))
    return configuration
  }()

  /// A machine with a disk on two sides.
  static let mirrored: MachineConfiguration = {
    var configuration = Samples.configuration
    configuration.disks[0] = .init(
      file: 3, layers: [.init(4)], format: .qcow2, size: 10 << 30, cache: .none,
      mirror: .init(
        metadata: 10, own: .init(place: 1, high: 1 << 63, low: 7, name: "/mnt/b/layers/x"), other: side),
      serial: "root")
    return configuration
  }()

  static let side = MachineConfiguration.Disk.Side(
    .init(place: 0, high: 2, low: .max, name: "/mnt/ä/layers/x"), file: 11, layers: [.init(12)])

  static let messages: [ControlMessage] = [
    .request(id: 18, .configure(remote)), .request(id: 19, .attachDisk("data")),
    .event(.diskLost(disk: "data", reason: "Connection refused")), .event(.diskReturned(disk: "data")),
    .request(id: 18, .configure(mirrored)), .request(id: 19, .attachSide("root", side)),
    .request(id: 20, .checkpoint(Checkpoint(disks: [mirrored.disks[0]]))),
    .event(
      .mirrorChanged(
        MirrorStatus(serial: "root", sides: [.missing, .current], done: 1, total: .max, isRecorded: false))),
    .reply(
      id: 21,
      .status(
        MachineStatus(
          state: .running,
          mirrors: [MirrorStatus(serial: "root", sides: [.current, .rebuilding], done: 3, total: 9)]))),
    .request(id: 13, .configure(started)), .request(id: 14, .configure(kept)),
    .request(id: 15, .attachConsole(backlog: 16 << 10)),
    .request(id: 16, .attachPort(name: "org.volary.agent")),
    .request(id: 17, .attachBroker),
    .reply(
      id: 4,
      .status(
        MachineStatus(
          state: .ended, processID: 4711, guestResets: 3,
          disks: [
            .init(serial: "root", reads: 1, writes: 2, bytesRead: 512, bytesWritten: .max, flushes: 3),
            .init(serial: "data", isFull: true),
          ],
          network: .init(framesReceived: 1, bytesReceived: 60, framesSent: 2, bytesSent: 1 << 40)))),
    .request(id: 1, .descriptors), .request(id: 2, .configure(configuration)), .request(id: 3, .start),
    .request(id: 11, .configure(profiled)), .request(id: 12, .configure(accelerated)),
    .request(id: 4, .stop), .request(id: 5, .kill), .request(id: 6, .pause), .request(id: 7, .resume),
    .request(id: 8, .reset), .request(id: 9, .resizeConsole(columns: 120, rows: 40)),
    .request(id: 10, .balloon(target: 512 << 20)),
    .request(
      id: 11, .limitDisk("root", DiskRates(readBytes: 1, writtenBytes: .max, reads: 3, writes: 4))),
    .request(id: 12, .resizeDisk("root", 1 << 40)),
    .request(id: .max, .status),
    .reply(id: 1, .done),
    .reply(
      id: 2,
      .status(
        MachineStatus(
          state: .running, engine: .interpreter, runningTime: 1 << 40, instructions: [1, .max], exits: 3,
          residentMemory: 4, balloon: 5, memory: 1 << 30, balloonTarget: 1 << 29,
          reportedMemory: 9, guestMemory: .init(free: 1, available: nil, total: .max, diskCaches: 0),
          lostDisks: ["data", "logs"]))),
    .reply(id: 3, .refused(ControlFailure(.hostRefused, phase: "mapping", message: "No space — Kein Platz"))),
    .event(.started), .event(.guestPoweredOff(code: nil)), .event(.guestPoweredOff(code: -1)),
    .event(.guestReset), .event(.guestPanicked(message: "VFS")), .event(.failed(phase: "a", message: "b")),
    .event(.warning(line: "")),
    .event(.diskFailed(disk: "root", operation: "write", errorNumber: 28)),
    .event(.diskFull(disk: "root", isFull: true)), .event(.diskFull(disk: "", isFull: false)),
  ]
}

@Suite struct WireTests {
  @Test(arguments: Samples.messages)
  func comesBackAsItWas(_ message: ControlMessage) throws {
    #expect(try ControlMessage(decoding: message.encoded()) == message)
  }

  /// The bytes themselves, written by hand from the format's description: another version of this
  /// program has to read them.
  @Test func keepsItsBytes() throws {
    #expect(
      ControlMessage.request(id: 9, .resizeConsole(columns: 80, rows: 25)).encoded()
        == [0x56, 0x4f, 0x4c, 2, 9, 9, 0, 0, 0, 80, 0, 25, 0])
    #expect(
      ControlMessage.event(.guestPoweredOff(code: 2)).encoded()
        == [0x56, 0x4f, 0x4c, 2, 129, 0, 0, 0, 0, 1, 2, 0, 0, 0])
    #expect(
      ControlMessage.event(.warning(line: "hé")).encoded()
        == [0x56, 0x4f, 0x4c, 2, 133, 0, 0, 0, 0, 3, 0, 0, 0, 0x68, 0xc3, 0xa9])
    #expect(
      ControlMessage.request(id: 1, .attachConsole(backlog: 258)).encoded()
        == [0x56, 0x4f, 0x4c, 2, 12, 1, 0, 0, 0, 2, 1, 0, 0])
    let status = MachineStatus(
      processID: 7, guestResets: 2, disks: [.init(serial: "d", reads: 1)], network: .init(bytesSent: 9),
      memory: 6, balloonTarget: 5, reportedMemory: 4, guestMemory: .init(available: 3))
    func long(_ value: UInt8) -> [UInt8] { [value, 0, 0, 0, 0, 0, 0, 0] }
    #expect(
      Array(ControlMessage.reply(id: 1, .status(status)).encoded().dropFirst(9 + 2 + 8 + 4 + 3 * 8))
        == [7, 0, 0, 0] + long(2) + [1, 0, 0, 0, 1, 0, 0, 0, 0x64] + long(1) + long(0) + long(0) + long(0)
        + long(0) + [0, 1] + long(0) + long(0) + long(0) + long(9) + long(6) + long(5) + long(4) + [1, 0, 1]
        + long(3) + [0, 0])
  }

  @Test func namesWhatIsWrong() throws {
    let good = ControlMessage.request(id: 1, .start).encoded()
    #expect(throws: WireError.notOurs) { try ControlMessage(decoding: [1] + good.dropFirst()) }
    #expect(throws: WireError.version(1)) {
      var bytes = good
      bytes[3] = 1
      _ = try ControlMessage(decoding: bytes)
    }
    #expect(throws: WireError.unknownKind(250)) {
      var bytes = good
      bytes[4] = 250
      _ = try ControlMessage(decoding: bytes)
    }
    #expect(throws: WireError.trailingBytes(1)) { try ControlMessage(decoding: good + [0]) }
    #expect(throws: WireError.truncated) { try ControlMessage(decoding: good.dropLast()) }
    #expect(throws: WireError.truncated) { try ControlMessage(decoding: []) }
    // A list and a string that claim more than there may be.
    let header = Array(good.prefix(4))
    #expect(throws: WireError.tooLong("line")) {
      try ControlMessage(decoding: header + [133, 0, 0, 0, 0, 255, 255, 255, 255])
    }
    #expect(throws: WireError.tooLong("instructions")) {
      let fields = [UInt8](repeating: 0, count: 2 + 8) + [255, 255, 255, 255]
      _ = try ControlMessage(decoding: header + [65, 0, 0, 0, 0] + fields)
    }
    #expect(throws: WireError.tooLong("disks")) {
      let fields = [UInt8](repeating: 0, count: 2 + 8 + 4 + 3 * 8 + 4 + 8) + [65, 0, 0, 0]
      _ = try ControlMessage(decoding: header + [65, 0, 0, 0, 0] + fields)
    }
  }

  @Test func cutsLongStringsBetweenCharacters() throws {
    let long = String(repeating: "€", count: 4000)
    guard
      case .event(.warning(let line)) = try ControlMessage(
        decoding: ControlMessage.event(.warning(line: long)).encoded())
    else { return #expect(Bool(false)) }
    #expect(line == String(repeating: "€", count: 4096 / 3))
  }

  /// Any bytes give a message or an error, never a trap; a message that is read is written the same.
  @Test(arguments: 0..<8)
  func survivesAnyBytes(_ seed: UInt64) throws {
    var generator = SeededGenerator(state: seed)
    let samples = Samples.messages.map { $0.encoded() }
    var accepted = 0
    for _ in 0..<20_000 {
      var bytes = samples[Int.random(in: 0..<samples.count, using: &generator)]
      switch Int.random(in: 0..<4, using: &generator) {
      case 0: bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &generator)))
      case 1:
        bytes += (0..<Int.random(in: 1...9, using: &generator)).map { _ in
          .random(in: 0...255, using: &generator)
        }
      case 2:
        bytes = (0..<Int.random(in: 0...64, using: &generator)).map { _ in
          .random(in: 0...255, using: &generator)
        }
      default: break
      }
      for _ in 0..<Int.random(in: 0...4, using: &generator) where !bytes.isEmpty {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        bytes[place] =
          [0, 1, 0x7f, 0x80, 0xff, .random(in: 0...255, using: &generator)].randomElement(using: &generator)
          ?? 0
      }
      if let message = try? ControlMessage(decoding: bytes) {
        accepted += 1
        #expect(message.encoded() == bytes)
        if case .request(_, .configure(let configuration)) = message {
          try? configuration.validate(descriptorCount: Samples.descriptorCount)
        }
      }
    }
    #expect(accepted > 100)
  }
}
