import DiskImages
import Foundation
import Glibc
import HostPrograms
import HostSystem
import MachineControl
import Testing

extension EndToEndTests {
  /// Machines that are kept and go on, in the same process or in another.
  @Suite(.serialized, .runsPrograms)
  struct CheckpointTests {
    /// The files of a kept machine.
    struct Kept {
      let state: Descriptor
      var memory: [Descriptor]

      init() throws {
        state = try Descriptor.memory(name: "state")
        memory = [try Descriptor.memory(name: "memory")]
      }

      /// Has a machine be one that goes on from here.
      func configure(_ configuration: inout MachineConfiguration, _ descriptors: inout [Descriptor]) {
        configuration.restoration = .init(
          state: descriptors.count, memory: memory.indices.map { descriptors.count + 1 + $0 })
        descriptors += [state] + memory
      }
    }

    static func keep(_ machine: LastingMachine) throws -> Kept {
      let control = try #require(machine.control)
      let kept = try Kept()
      do {
        try control.checkpoint(Checkpoint(state: 0, memory: 1), descriptors: [kept.state] + kept.memory)
        try awaitMemory(control)
      } catch {
        Issue.record(
          "\(error); \(String(describing: machine.process.wait(milliseconds: 100))): \(machine.words)")
        throw error
      }
      return kept
    }

    static func awaitMemory(_ control: ControlClient) throws {
      let deadline = monotonicNanoseconds() + 40_000_000_000
      while monotonicNanoseconds() < deadline {
        guard let event = try control.nextEvent(milliseconds: 1000) else { continue }
        if case .memoryKept(let failure) = event {
          #expect(failure == nil)
          return
        }
      }
      Issue.record("the memory was not kept in time")
    }

    @Test(arguments: [MachineConfiguration.Engine.interpreter, .translator])
    func goesOnInAnotherProcess(_ engine: MachineConfiguration.Engine) throws {
      let machine = try LastingMachine { configuration, _ in configuration.engine = engine }
      let control = try #require(machine.control)
      let console = try control.attachConsole()
      try machine.start()
      #expect(try console.receives("hello\n"))
      try console.send(Array("one".utf8))
      #expect(try console.receives("one"))
      let kept = try Self.keep(machine)
      // It goes on here.
      try console.send(Array("two".utf8))
      #expect(try console.receives("two"))
      for _ in 0..<2 {
        // And elsewhere, as often as one likes.
        let other = try LastingMachine {
          $0.engine = engine
          kept.configure(&$0, &$1)
        }
        let console = try #require(try other.control?.attachConsole())
        try other.start()
        try console.send(Array("again".utf8))
        #expect(try console.receives("again"), "\(other.words)")
        #expect(try !other.lastOutput(100).contains("hello"))
        // A restart begins with the kernel.
        try console.send(Array("r".utf8))
        #expect(try console.receives("hello\n"))
      }
    }

    /// On KVM, where the kernel copies pages: CPU, devices and memory, more than once.
    @Test(.enabled(if: Bench.hasKVM, "/dev/kvm cannot be opened"))
    func kvmGoesOnInAnotherProcess() throws {
      var kernel = TinyKernel()
      kernel.print("hello\n")
      kernel.echoAndCount()
      let file = try Descriptor.memory(name: "kernel")
      try file.writeAll(kernel.file[...], at: 0)
      func machine(_ kept: Kept? = nil) throws -> LastingMachine {
        try LastingMachine(kernel: file) { configuration, descriptors in
          configuration.architecture = .amd64
          configuration.engine = .kvm
          configuration.virtioBus = .pci
          configuration.kvm = descriptors.count
          descriptors.append(try .open("/dev/kvm", O_RDWR))
          kept?.configure(&configuration, &descriptors)
        }
      }
      func console(_ machine: LastingMachine) throws -> UnixSocket {
        let console = try #require(try machine.control?.attachConsole())
        try machine.start()
        return console
      }
      func send(_ character: String, _ count: Int, _ console: UnixSocket, _ machine: LastingMachine) throws {
        try console.send(Array(character.utf8))
        #expect(try console.receives("\(character)\(count)", within: 60), "\(machine.words)")
      }
      let first = try machine()
      let here = try console(first)
      #expect(try here.receives("hello\n", within: 60), "\(first.words)")
      try send("a", 1, here, first)
      let early = try Self.keep(first)
      try send("b", 2, here, first)
      let late = try Self.keep(first)
      try send("c", 3, here, first)
      // In any order, each from its own moment, and none minds the others.
      for (kept, count) in [(late, 3), (early, 2)] {
        let other = try machine(kept)
        let there = try console(other)
        try send("d", count, there, other)
        // Shared memory, and what was written since.
        var shared = try Kept()
        shared.memory = try #require(other.control).checkpoint(
          Checkpoint(state: 0, sharesMemory: true), descriptors: [shared.state])
        let third = try machine(shared)
        try send("e", count + 1, try console(third), third)
        try send("f", count + 1, there, other)
      }
      try send("g", 4, here, first)
    }

    // MARK: - A stock kernel

    /// A machine with the image's kernel, which stops at a shell of its initial RAM disk, over the image's disk.
    static func stockMachine(cpus: Int, _ kept: Kept? = nil) throws -> LastingMachine {
      try LastingMachine(kernel: .open(Bench.kernel, O_RDONLY)) { configuration, descriptors in
        configuration.engine = .translator
        configuration.cpus = cpus
        configuration.memory = 512 << 20
        let first = descriptors.count
        descriptors += [
          try .open(Bench.initrd, O_RDONLY), try .memory(name: "top"),
          try .open("\(Bench.image)/disk.raw", O_RDONLY),
        ]
        configuration.boot = .kernel(
          .init(0, initrd: [first], append: "console=ttyS0 volary.shell root=/dev/vda quiet"))
        let size = UInt64(try descriptors[first + 2].size())
        configuration.disks = [
          .init(
            file: first + 1, layers: [.init(first + 2)], format: .overlay, size: size, ephemeral: true,
            serial: "root")
        ]
        kept?.configure(&configuration, &descriptors)
      }
    }

    /// What comes from a console up to a word, and it; nil when it does not come in time.
    static func read(_ console: UnixSocket, upTo end: String, within seconds: UInt64 = 60) throws -> String? {
      var text = ""
      let deadline = monotonicNanoseconds() + seconds * 1_000_000_000
      while !text.contains(end), monotonicNanoseconds() < deadline {
        guard try console.waitUntilReadable(milliseconds: 100) else { continue }
        let bytes = try console.receive(capacity: 65_536).bytes
        if bytes.isEmpty { break }
        text += String(decoding: bytes, as: UTF8.self)
      }
      return text.contains(end) ? text : nil
    }

    /// Has the shell carry out what it is sent, and neither echo it nor prompt.
    static func makePlain(_ console: UnixSocket) throws {
      try console.send(Array("stty -echo; while read -r line; do eval \"$line\"; done; \n".utf8))
      _ = try ask(console, ":")
    }

    /// A shell's answer to a line.
    static func ask(_ console: UnixSocket, _ line: String) throws -> String {
      let end = "end-\(UInt32.random(in: 0 ... .max))"
      // In two pieces, so that an echo of the line is not the answer.
      try console.send(Array("\(line); echo \(end.prefix(4))''\(end.dropFirst(4))\n".utf8))
      guard let text = try read(console, upTo: "\(end)\r\n") else { return "no answer" }
      return text.replacing("\(end)\r\n", with: "").replacing("\r\n", with: "\n")
    }

    /// Four CPUs that compute, and a file in memory: each of many moments goes on, there and here.
    @Test func stockKernelGoesOn() throws {
      var machine = try Self.stockMachine(cpus: 4)
      var console = try #require(try machine.control?.attachConsole())
      try machine.start()
      try #require(try Self.read(console, upTo: "# ") != nil, "\(machine.words)")
      try Self.makePlain(console)
      _ = try Self.ask(console, "mkdir /t; mount -t tmpfs t /t")
      let sum = try Self.ask(console, "dd if=/dev/urandom of=/t/a bs=1M count=20 2>/dev/null; md5sum </t/a")
        .trimmingCharacters(in: .whitespacesAndNewlines)
      // Work without an end, that says when it went wrong.
      let work =
        "while [ \"$(md5sum </t/a)\" = \"\(sum)\" ]; do :; done"
      _ = try Self.ask(console, "for i in 1 2 3 4; do (\(work); echo wrong >>/t/wrong) & done")
      let rounds = Int(Bench.environment["VOLARY_CHECKPOINTS"] ?? "") ?? 3
      for round in 0..<rounds {
        let kept = try Self.keep(machine)
        let check = "ls /t; md5sum </t/a; dd if=/dev/vda bs=1M count=8 2>/dev/null | md5sum; nproc"
        let here = try Self.ask(console, check)
        let other = try Self.stockMachine(cpus: 4, kept)
        let otherConsole = try #require(try other.control?.attachConsole())
        try other.start()
        let there = try Self.ask(otherConsole, check)
        #expect(
          here == there && here.hasPrefix("a\n\(sum.prefix(32))"),
          "round \(round): \(here) \(there) \(other.words)")
        // The copy is the machine of the next round.
        (machine, console) = (other, otherConsole)
      }
    }

    /// A copy of a running machine: its memory is the same pages until one of both writes them, and its disk stands on
    /// what the first one's was.
    @Test func forkSharesMemoryAndDisk() throws {
      let folder = TestFolder()
      func top(_ name: String, _ size: UInt64) throws -> Descriptor {
        let file = try Descriptor.open("\(folder.path)/\(name)", O_RDWR | O_CREAT)
        try QCOW2Image.create(file: HostFile(file, name: name, readOnly: false), size: size)
        return file
      }
      let base = try Descriptor.open("\(Bench.image)/disk.raw", O_RDONLY)
      let size = UInt64(try base.size())
      let original = try top("original", size)
      func machine(
        _ disk: [Descriptor], _ kept: Kept? = nil, _ formats: [MachineConfiguration.Disk.Format]
      ) throws -> LastingMachine {
        try LastingMachine(kernel: .open(Bench.kernel, O_RDONLY)) { configuration, descriptors in
          configuration.engine = .translator
          configuration.memory = 512 << 20
          let first = descriptors.count
          descriptors += [try .open(Bench.initrd, O_RDONLY)] + disk
          configuration.boot = .kernel(
            .init(0, initrd: [first], append: "console=ttyS0 volary.shell root=/dev/vda quiet"))
          configuration.disks = [
            .init(
              file: first + 1, layers: zip(2..., formats).map { .init(first + $0, $1) }, format: .qcow2,
              size: size,
              serial: "root")
          ]
          kept?.configure(&configuration, &descriptors)
        }
      }
      let first = try machine([original, base], nil, [.raw])
      let console = try #require(try first.control?.attachConsole())
      try first.start()
      try #require(try Self.read(console, upTo: "# ") != nil, "\(first.words)")
      try Self.makePlain(console)
      _ = try Self.ask(
        console, "mkdir /t; mount -t tmpfs t /t; dd if=/dev/urandom of=/t/a bs=1M count=64 2>/dev/null")
      // Written to the disk and not flushed: the copy has it all the same.
      let before = try Self.ask(
        console,
        "md5sum </t/a; dd if=/t/a of=/dev/vda bs=1M seek=64 count=8 2>/dev/null; head -c 80m /dev/vda | md5sum"
      )

      func layer() throws -> Descriptor { try .open("\(folder.path)/original", O_RDONLY) }
      let control = try #require(first.control)
      var kept = try Kept()
      let started = monotonicNanoseconds()
      kept.memory = try control.checkpoint(
        Checkpoint(
          disks: [
            .init(file: 0, layers: [.init(1, .qcow2), .init(2)], format: .qcow2, size: size, serial: "root")
          ], state: 3, sharesMemory: true),
        descriptors: [try top("first", size), try layer(), base, kept.state])
      let held = monotonicNanoseconds()
      let second = try machine([try top("second", size), try layer(), base], kept, [.qcow2, .raw])
      let other = try #require(try second.control?.attachConsole())
      try second.start()
      let status = try second.status(#require(second.control))
      print(
        "fork: held \((held - started) / 1000) us, runs after \((monotonicNanoseconds() - started) / 1000) us"
      )
      #expect(status.residentMemory < 64 << 20, "what is not written is shared")
      #expect(try Self.ask(other, "md5sum </t/a; head -c 80m /dev/vda | md5sum") == before)
      // Each has its own from now on.
      for (console, word) in [(console, "first"), (other, "second")] {
        _ = try Self.ask(
          console,
          "echo \(word) >/t/word; echo \(word)-disk | dd of=/dev/vda bs=512 seek=9 conv=notrunc,fsync 2>/dev/null"
        )
      }
      for (console, word) in [(console, "first"), (other, "second")] {
        let answer = try Self.ask(
          console, "cat /t/word; dd if=/dev/vda bs=512 skip=9 count=1 2>/dev/null | head -n 1; md5sum </t/a")
        #expect(answer == "\(word)\n\(word)-disk\n\(before.prefix(36).split(separator: "\n")[0])\n")
      }
    }
  }
}
