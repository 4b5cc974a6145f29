/// What a controller asks of a machine's process.
package enum ControlRequest: Equatable, Sendable {
  /// Hands over descriptors for the configuration that follows; they are counted from the first such
  /// request on.
  case descriptors
  case configure(MachineConfiguration)
  case start
  /// Asks the guest to end of its own accord. Refused as unsupported by boards without such a button.
  case stop
  /// Ends the machine as if its power were cut.
  case kill
  case pause
  case resume
  case reset
  /// The terminal behind console port 0 changed its size (characters).
  case resizeConsole(columns: UInt16, rows: UInt16)
  /// Asks the guest to give back memory until it has `target` bytes.
  case balloon(target: UInt64)
  /// Hold the disk of a serial number to rates.
  case limitDisk(String, DiskRates)
  /// Make the disk of a serial number larger, to as many bytes, and tell the guest.
  case resizeDisk(String, UInt64)
  case status
  /// Joins the stream socket that comes with it to the serial console, until it is closed: it gets what the guest
  /// writes, after up to `backlog` bytes of what there was, and the guest gets what is written into it. Refused
  /// when there are too many already.
  case attachConsole(backlog: UInt32)
  /// Gives a port of the virtio console the stream socket that comes with it, in place of the one it had.
  case attachPort(name: String)
  /// Gives the socket device the packet socket that comes with it to the process which opens sockets for it, in
  /// place of the one it had. The guest's connections go on.
  case attachBroker
  /// Gives a disk on a server, named by its serial number, the connected stream socket that comes with it, for which
  /// ``ControlEvent/diskLost(disk:reason:)`` asked. One that nothing asked for is closed.
  case attachDisk(String)
  /// Holds the machine still for a moment and keeps what it is then. Descriptors come as with a configuration.
  case checkpoint(Checkpoint)
  /// Gives a mirrored disk, named by its serial number, the side that it lacks, and begins to rebuild it. Descriptors
  /// come as with a configuration.
  case attachSide(String, MachineConfiguration.Disk.Side)
  /// Has the machine go on from what was kept, in place of what it is. It runs afterwards. Descriptors come as with a
  /// configuration. Refused as unsupported by boards that cannot.
  case revert(Reversion)
}

/// What a machine's process answers to a request.
package enum ControlReply: Equatable, Sendable {
  case done
  case status(MachineStatus)
  /// The machine's memory comes with it, as files: from the lowest to the one that was written last.
  case memory
  case refused(ControlFailure)
}

/// What a machine's process tells unasked.
package enum ControlEvent: Equatable, Sendable {
  /// The first guest instruction is about to run.
  case started
  /// The guest switched itself off; a code where the board's switch carries one.
  case guestPoweredOff(code: Int32?)
  /// The guest asked for a restart; ``MachineConfiguration/resetAction`` says what follows.
  case guestReset
  /// The guest's kernel gave up.
  case guestPanicked(message: String)
  /// The machine cannot go on. `phase` says what it was doing, such as `loading the kernel`.
  case failed(phase: String, message: String)
  /// The host could not carry out what the guest asked of a disk, named by its serial; the guest sees an
  /// error. `operation` is a word such as `write`, `errorNumber` the system's (errno(3)).
  case diskFailed(disk: String, operation: String, errorNumber: Int32)
  /// A disk on a server, named by its serial, is in want of another connection: its requests wait. Told once for each
  /// socket that is wanted; ``MachineStatus/lostDisks`` says it to whoever comes later.
  case diskLost(disk: String, reason: String)
  /// Such a disk has its server again, and what waited goes on.
  case diskReturned(disk: String)
  /// A disk, named by its serial, has no room on the host for what the guest writes, and the machine stands still; or
  /// it has some again.
  case diskFull(disk: String, isFull: Bool)
  /// Which sides a mirrored disk has is another now.
  case mirrorChanged(MirrorStatus)
  /// What a ``Checkpoint`` has to keep of the guest's memory is in its file, or why it is not.
  case memoryKept(failure: String?)
  /// A line for the person who runs the machine.
  case warning(line: String)
}

/// Either end's packet.
package enum ControlMessage: Equatable, Sendable {
  /// `id` comes back in the reply.
  case request(id: UInt32, ControlRequest)
  case reply(id: UInt32, ControlReply)
  case event(ControlEvent)
}

/// Why a request was not carried out.
package struct ControlFailure: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Code: UInt8, Sendable, CaseIterable {
    /// The request could not be understood.
    case malformed = 1
    case invalidConfiguration = 2
    /// Not now: not configured yet, or started already.
    case wrongState = 3
    case unsupported = 4
    /// The host would not give what is needed: memory, a thread, a file.
    case hostRefused = 5
  }

  package let code: Code
  /// What was being done, such as `mapping the guest's memory`.
  package let phase: String
  package let message: String

  package init(_ code: Code, phase: String, message: String) {
    self.code = code
    self.phase = phase
    self.message = message
  }

  package var description: String { "\(phase): \(message)" }

  /// Does what finds out whether a request makes sense.
  static func checking(
    _ what: String, _ body: () throws(ConfigurationError) -> Void
  ) throws(ControlFailure) {
    do { try body() } catch {
      throw ControlFailure(.invalidConfiguration, phase: "checking \(what)", message: "\(error)")
    }
  }
}

/// How a machine is doing.
package struct MachineStatus: Equatable, Sendable {
  package enum State: UInt8, Sendable, CaseIterable {
    case empty = 0
    case configured = 1
    case running = 2
    case paused = 3
    case ended = 4
  }

  package var state: State
  /// What executes guest instructions, once it was chosen.
  package var engine: MachineConfiguration.Engine
  /// Nanoseconds since the start, without pauses.
  package var runningTime: UInt64
  /// Guest instructions retired by each virtual CPU.
  package var instructions: [UInt64]
  /// Times that guest code was left to handle something elsewhere.
  package var exits: UInt64
  /// Bytes of host memory in use.
  package var residentMemory: UInt64
  /// Bytes that the guest gave back.
  package var balloon: UInt64
  /// The machine's process, as it says itself.
  package var processID: Int32
  /// Times that the guest has restarted.
  package var guestResets: UInt64
  /// As the configuration has them.
  package var disks: [DiskActivity]
  /// Nil without a network card, and where the kernel moves frames, which tells nobody how many.
  package var network: NetworkActivity?
  /// Bytes that the machine was built with.
  package var memory: UInt64
  /// Bytes that the guest was asked to give back.
  package var balloonTarget: UInt64
  /// Bytes that came back because the guest said that it does not use them, since the machine was built; it may have
  /// taken them again.
  package var reportedMemory: UInt64
  /// Nil while the guest has told nothing.
  package var guestMemory: GuestMemory?
  /// Serial numbers of disks that are without their servers.
  package var lostDisks: [String]
  /// Of the disks that are mirrored.
  package var mirrors: [MirrorStatus]

  package init(
    state: State = .empty, engine: MachineConfiguration.Engine = .auto, runningTime: UInt64 = 0,
    instructions: [UInt64] = [], exits: UInt64 = 0, residentMemory: UInt64 = 0, balloon: UInt64 = 0,
    processID: Int32 = 0, guestResets: UInt64 = 0, disks: [DiskActivity] = [],
    network: NetworkActivity? = nil,
    memory: UInt64 = 0, balloonTarget: UInt64 = 0, reportedMemory: UInt64 = 0,
    guestMemory: GuestMemory? = nil,
    mirrors: [MirrorStatus] = [], lostDisks: [String] = []
  ) {
    self.state = state
    self.engine = engine
    self.runningTime = runningTime
    self.instructions = instructions
    self.exits = exits
    self.residentMemory = residentMemory
    self.balloon = balloon
    self.processID = processID
    self.guestResets = guestResets
    self.disks = disks
    self.network = network
    self.memory = memory
    self.balloonTarget = balloonTarget
    self.reportedMemory = reportedMemory
    self.guestMemory = guestMemory
    self.lostDisks = lostDisks
    self.mirrors = mirrors
  }

  /// What a guest says of its memory, in bytes; nil where it does not say.
  package struct GuestMemory: Equatable, Sendable {
    /// Not used for anything.
    package var free: UInt64?
    /// What programs could get without swapping.
    package var available: UInt64?
    package var total: UInt64?
    package var diskCaches: UInt64?

    package init(
      free: UInt64? = nil, available: UInt64? = nil, total: UInt64? = nil, diskCaches: UInt64? = nil
    ) {
      self.free = free
      self.available = available
      self.total = total
      self.diskCaches = diskCaches
    }
  }

  /// What a disk has done for the guest since the machine was built.
  package struct DiskActivity: Equatable, Sendable {
    package var serial: String
    /// Requests.
    package var reads: UInt64
    package var writes: UInt64
    package var bytesRead: UInt64
    package var bytesWritten: UInt64
    package var flushes: UInt64
    /// Whether it has no room on the host, for which the machine waits.
    package var isFull: Bool

    package init(
      serial: String, reads: UInt64 = 0, writes: UInt64 = 0, bytesRead: UInt64 = 0, bytesWritten: UInt64 = 0,
      flushes: UInt64 = 0, isFull: Bool = false
    ) {
      self.serial = serial
      self.reads = reads
      self.writes = writes
      self.bytesRead = bytesRead
      self.bytesWritten = bytesWritten
      self.flushes = flushes
      self.isFull = isFull
    }
  }

  /// What has passed through a network card since the machine was built, as the guest sees it.
  package struct NetworkActivity: Equatable, Sendable {
    package var framesReceived: UInt64
    package var bytesReceived: UInt64
    package var framesSent: UInt64
    package var bytesSent: UInt64

    package init(
      framesReceived: UInt64 = 0, bytesReceived: UInt64 = 0, framesSent: UInt64 = 0, bytesSent: UInt64 = 0
    ) {
      self.framesReceived = framesReceived
      self.bytesReceived = bytesReceived
      self.framesSent = framesSent
      self.bytesSent = bytesSent
    }
  }
}
