import Foundation
import Glibc
import HostPrograms
import HostSystem
import MachineControl
import Testing

extension EndToEndTests {
  /// `volary-machine` without `volary`: machines that go on when their controllers come and go.
  @Suite(.serialized, .runsPrograms)
  struct LastingMachineTests {
    @Test func goesOnWithoutItsController() throws {
      let machine = try LastingMachine()
      let console = try #require(try machine.control?.attachConsole())
      try machine.start()
      #expect(try console.receives("hello\n"))
      machine.control = nil
      // The console stays, and so does the guest.
      try console.send(Array("one".utf8))
      #expect(try console.receives("one"))
      let second = try machine.connect()
      let status = try machine.status(second)
      #expect(status.state == .running && status.processID == machine.process.identifier)
      #expect(status.disks.isEmpty && status.network == nil && status.guestResets == 0)
      let other = try second.attachConsole(backlog: 100)
      #expect(try other.receives("hello\none"))
      try other.send(Array("two".utf8))
      for socket in [console, other] { #expect(try socket.receives("two")) }
      #expect(Bench.isAlive(machine.process.identifier))
      try second.post(.kill)
      #expect(machine.process.wait(milliseconds: 120_000) == .code(0), "\(machine.words)")
      #expect(try EndRecord.read(from: machine.record) == .guestPoweredOff(code: nil))
      #expect(try machine.lastOutput(12) == "hello\nonetwo")
      #expect(throws: ControlError.closed) { try machine.connect() }
    }

    @Test func aSecondControllerTakesOver() throws {
      let machine = try LastingMachine()
      try machine.start()
      let second = try machine.connect()
      #expect(try machine.status(second).state == .running)
      #expect(throws: ControlError.closed) { try machine.control?.call(.status) }
      try second.call(.pause)
      #expect(Bench.eventually { (try? machine.status(second))?.state == .paused })
      let third = try machine.connect()
      #expect(try machine.status(third).state == .paused)
      try third.post(.kill)
      #expect(machine.process.wait(milliseconds: 120_000) == .code(0), "\(machine.words)")
      #expect(try EndRecord.read(from: machine.record) == .guestPoweredOff(code: nil))
    }

    /// The machine's own end, with nobody there to be told.
    @Test(arguments: [("q", ControlEvent.guestPoweredOff(code: nil)), ("f", .guestPoweredOff(code: 3))])
    func tellsHowItEnded(_ order: String, _ end: ControlEvent) throws {
      let machine = try LastingMachine()
      let console = try #require(try machine.control?.attachConsole())
      try machine.start()
      #expect(try console.receives("hello\n"))
      machine.control = nil
      try console.send(Array(order.utf8))
      #expect(machine.process.wait(milliseconds: 120_000) == .code(0), "\(machine.words)")
      #expect(try EndRecord.read(from: machine.record) == end)
    }

    /// What happened while nobody was there is told to the next controller.
    @Test func keepsWhatHappened() throws {
      let machine = try LastingMachine()
      let console = try #require(try machine.control?.attachConsole())
      try machine.start()
      #expect(try console.receives("hello\n"))
      #expect(try machine.control?.nextEvent(milliseconds: 120_000) == .started)
      machine.control = nil
      for _ in 0..<2 {
        try console.send(Array("r".utf8))
        #expect(try console.receives("hello\n"))
      }
      let next = try machine.connect()
      #expect(try machine.status(next).guestResets == 2)
      for _ in 0..<2 { #expect(try next.nextEvent(milliseconds: 120_000) == .guestReset) }
      #expect(try next.nextEvent() == nil)
      #expect(try machine.lastOutput(100) == "hello\nhello\nhello\n")
    }

    /// A restart that is to be the end is one, also for the process.
    @Test func aRestartMayBeTheEnd() throws {
      let machine = try LastingMachine { configuration, _ in configuration.resetAction = .end }
      let console = try #require(try machine.control?.attachConsole())
      try machine.start()
      #expect(try console.receives("hello\n"))
      machine.control = nil
      try console.send(Array("r".utf8))
      #expect(machine.process.wait(milliseconds: 120_000) == .code(0), "\(machine.words)")
      #expect(try EndRecord.read(from: machine.record) == .guestReset)
    }

    @Test func aKilledMachineLeavesNoRecord() throws {
      let machine = try LastingMachine()
      let console = try #require(try machine.control?.attachConsole())
      try machine.start()
      #expect(try console.receives("hello\n"))
      try console.send(Array("last".utf8))
      #expect(try console.receives("last"))
      #expect(kill(machine.process.identifier, SIGKILL) == 0)
      #expect(machine.process.wait(milliseconds: 120_000) == .signal(SIGKILL))
      #expect(try EndRecord.read(from: machine.record) == nil)
      #expect(try machine.lastOutput(4) == "last", "its output is there")
    }

    /// A former machine's record goes when the next one is built.
    @Test func anOldRecordGoes() throws {
      let machine = try LastingMachine(isConfigured: true) { _, descriptors in
        try EndRecord.write(.guestReset, to: descriptors[1])
      }
      #expect(try EndRecord.read(from: machine.record) == nil)
    }

    @Test func withNothingToKeepItEnds() throws {
      let machine = try LastingMachine(isConfigured: false)
      let second = try machine.connect()
      #expect(try machine.status(second).state == .empty)
      #expect(machine.process.wait(milliseconds: 50) == nil)
      second.socket.finishSending()
      #expect(machine.process.wait(milliseconds: 120_000) == .code(0), "\(machine.words)")
    }

    @Test func withoutAListenerItEndsWithItsController() throws {
      let (ours, theirs) = try UnixSocket.pair(.sequencedPacket)
      let null = try Descriptor.open("/dev/null", O_RDWR)
      let process = try ChildProcess(
        path: "\(Bench.programs)/volary-machine", arguments: ["volary-machine", "--control", "3"],
        descriptors: [null, null, null, theirs.descriptor])
      let kernel = try Descriptor.memory(name: "kernel")
      try kernel.writeAll(TinyImage.file[...], at: 0)
      let record = try Descriptor.memory(name: "record")
      let client = ControlClient(ours)
      try client.configure(
        MachineConfiguration(
          name: "short", engine: .interpreter, memory: 64 << 20, boot: .kernel(.init(0)), record: 1),
        descriptors: [kernel, record])
      try client.call(.start)
      #expect(process.wait(milliseconds: 50) == nil)
      ours.finishSending()
      #expect(process.wait(milliseconds: 120_000) == .code(0))
      guard case .failed = try EndRecord.read(from: record) else { return #expect(Bool(false)) }
    }

    @Test(arguments: [
      ["--listener", "3"], ["--control", "3", "--listener", "3"], ["--control"], ["--control", "1"],
    ])
    func refusesOtherArguments(_ arguments: [String]) throws {
      let outcome = try ProgramRun("\(Bench.programs)/volary-machine", arguments).finish()
      #expect(outcome.code == 2 && outcome.errors.contains("usage"))
    }

    /// A controller that stops reading holds up neither the guest nor its end.
    @Test func aControllerThatSleepsHoldsUpNothing() throws {
      let machine = try LastingMachine()
      let control = try #require(machine.control)
      let console = try control.attachConsole()
      let silent = try control.attachConsole()
      try machine.start()
      #expect(try console.receives("hello\n"))
      var sent = 0
      while try control.socket.waitUntilWritable(milliseconds: 200), sent < 100_000 {
        try control.post(.status)
        sent += 1
      }
      try console.send(Array("x".utf8))
      #expect(try console.receives("xxx\n", within: 120))
      for _ in 0..<20 {
        try console.send(Array("r".utf8))
        #expect(try console.receives("hello\n"))
      }
      try console.send(Array("q".utf8))
      #expect(machine.process.wait(milliseconds: 120_000) == .code(0), "\(machine.words)")
      #expect(try EndRecord.read(from: machine.record) == .guestPoweredOff(code: nil))
      withExtendedLifetime(silent) {}
    }

    @Test func consolesAreEightAtMost() throws {
      let machine = try LastingMachine()
      let control = try #require(machine.control)
      #expect(throws: ControlError.self) { try control.call(.attachBroker) }
      var consoles = try (0..<8).map { _ in try control.attachConsole() }
      #expect(throws: ControlError.self) { try control.attachConsole() }
      consoles.removeLast()
      #expect(
        Bench.eventually {
          guard let console = try? control.attachConsole() else { return false }
          consoles.append(console)
          return true
        })
      try machine.start()
      for console in consoles { #expect(try console.receives("hello\n")) }
    }

    /// Controllers and consoles that come and go at any moment while the guest works.
    @Test(arguments: [1, 2] as [UInt64])
    func survivesComingAndGoing(_ seed: UInt64) throws {
      var generator = SplitMix(state: seed)
      let machine = try LastingMachine()
      let probe = try #require(try machine.control?.attachConsole())
      try machine.start()
      #expect(try probe.receives("hello\n"))
      machine.control = nil
      var clients: [ControlClient] = []
      var consoles: [UnixSocket] = []
      let requests: [ControlRequest] = [.status, .pause, .resume]
      for round in 0..<2000 {
        switch Int.random(in: 0..<9, using: &generator) {
        case 0, 1: clients.append(try machine.connect())
        case 2: if !clients.isEmpty { clients.remove(at: .random(in: 0..<clients.count, using: &generator)) }
        case 3: try? clients.last?.post(requests.randomElement(using: &generator) ?? .status)
        case 4: if let console = try? clients.last?.attachConsole(backlog: 4096) { consoles.append(console) }
        case 5:
          if !consoles.isEmpty { consoles.remove(at: .random(in: 0..<consoles.count, using: &generator)) }
        case 6: _ = try? consoles.last?.send(Array("some lines\n".utf8))
        case 7: _ = try? clients.randomElement(using: &generator)?.socket.send(Array("nonsense".utf8))
        default: _ = try? clients.last?.call(.status, milliseconds: 10_000)
        }
        try #require(Bench.isAlive(machine.process.identifier), "round \(round): \(machine.words)")
      }
      clients = []
      consoles = []
      let last = try machine.connect()
      try last.call(.resume)
      #expect(Bench.eventually { (try? machine.status(last))?.state == .running })
      try probe.send(Array("still on\n".utf8))
      #expect(try probe.receives("still on\n"))
      try probe.send(Array("q".utf8))
      #expect(machine.process.wait(milliseconds: 120_000) == .code(0), "\(machine.words)")
      #expect(try EndRecord.read(from: machine.record) == .guestPoweredOff(code: nil))
    }

    /// A port of the virtio console, and the broker of sockets, may be given anew to a machine that runs.
    @Test func portsAndBrokersMayBeReplaced() throws {
      let (brokerEnd, machineEnd) = try UnixSocket.pair(.sequencedPacket)
      let (portEnd, guestEnd) = try UnixSocket.pair(.stream)
      let machine = try LastingMachine { configuration, descriptors in
        descriptors += [machineEnd.descriptor, guestEnd.descriptor]
        configuration.sockets = .init(broker: 3)
        configuration.consolePorts = [.init(name: "org.volary.agent", stream: 4)]
      }
      try machine.start()
      machine.control = nil
      let next = try machine.connect()
      let (newBroker, newMachineEnd) = try UnixSocket.pair(.sequencedPacket)
      try next.call(.attachBroker, descriptors: [newMachineEnd.descriptor])
      let (newPort, newGuestEnd) = try UnixSocket.pair(.stream)
      try next.call(.attachPort(name: "org.volary.agent"), descriptors: [newGuestEnd.descriptor])
      #expect(throws: ControlError.self) {
        try next.call(.attachPort(name: "other"), descriptors: [newGuestEnd.descriptor])
      }
      #expect(throws: ControlError.self) {
        try next.call(.attachBroker, descriptors: [newGuestEnd.descriptor])
      }
      #expect(try machine.status(next).state == .running)
      withExtendedLifetime((brokerEnd, portEnd, newBroker, newPort)) {}
    }

    @Test func disksAreInTheStatus() throws {
      let machine = try LastingMachine { configuration, descriptors in
        let disk = try Descriptor.memory(name: "disk")
        try disk.truncate(to: 1 << 20)
        descriptors.append(disk)
        configuration.disks = [.init(file: 3, format: .raw, size: 1 << 20, serial: "data")]
      }
      let control = try #require(machine.control)
      #expect(try machine.status(control).disks == [.init(serial: "data")])
      try control.post(.kill)  // before its start
      #expect(machine.process.wait(milliseconds: 120_000) == .code(0))
      #expect(try EndRecord.read(from: machine.record) == .guestPoweredOff(code: nil))
    }
  }
}

/// The same numbers in every run.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
