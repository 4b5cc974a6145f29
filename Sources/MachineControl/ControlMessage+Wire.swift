extension ControlMessage {
  /// The second field of every packet.
  fileprivate enum Kind {
    static let descriptors: UInt8 = 1
    static let configure: UInt8 = 2
    static let start: UInt8 = 3
    static let stop: UInt8 = 4
    static let kill: UInt8 = 5
    static let pause: UInt8 = 6
    static let resume: UInt8 = 7
    static let reset: UInt8 = 8
    static let resizeConsole: UInt8 = 9
    static let balloon: UInt8 = 10
    static let status: UInt8 = 11
    static let attachConsole: UInt8 = 12
    static let attachPort: UInt8 = 13
    static let attachBroker: UInt8 = 14
    static let checkpoint: UInt8 = 15
    static let limitDisk: UInt8 = 16
    static let resizeDisk: UInt8 = 17
    static let attachSide: UInt8 = 18
    static let revert: UInt8 = 19
    static let attachDisk: UInt8 = 20

    static let done: UInt8 = 64
    static let statusReply: UInt8 = 65
    static let refused: UInt8 = 66
    static let memory: UInt8 = 67

    static let started: UInt8 = 128
    static let guestPoweredOff: UInt8 = 129
    static let guestReset: UInt8 = 130
    static let guestPanicked: UInt8 = 131
    static let failed: UInt8 = 132
    static let warning: UInt8 = 133
    static let diskFailed: UInt8 = 134
    static let memoryKept: UInt8 = 135
    static let diskFull: UInt8 = 136
    static let mirrorChanged: UInt8 = 137
    static let diskLost: UInt8 = 140
    static let diskReturned: UInt8 = 141
  }

  // MARK: - Encoding

  /// The message as one packet: magic and version (4 bytes), kind (1), id (4), then its fields.
  package func encoded() -> [UInt8] {
    var writer = WireWriter()
    writer.integer(WireFormat.magic)
    switch self {
    case .request(let id, let request): request.write(id: id, to: &writer)
    case .reply(let id, let reply): reply.write(id: id, to: &writer)
    case .event(let event): event.write(to: &writer)
    }
    return writer.bytes
  }

  // MARK: - Decoding

  /// Takes a packet apart; any bytes may come.
  package init(decoding bytes: [UInt8]) throws(WireError) {
    if bytes.count > WireFormat.maximumPacket { throw .tooLong("packet") }
    var reader = WireReader(bytes)
    let magic: UInt32 = try reader.integer()
    if magic & 0xff_ffff != WireFormat.magic & 0xff_ffff { throw .notOurs }
    if magic != WireFormat.magic { throw .version(UInt8(magic >> 24)) }
    let kind: UInt8 = try reader.integer()
    let id: UInt32 = try reader.integer()
    if let request = try ControlRequest(kind: kind, from: &reader) {
      self = .request(id: id, request)
    } else if let reply = try ControlReply(kind: kind, from: &reader) {
      self = .reply(id: id, reply)
    } else if let event = try ControlEvent(kind: kind, from: &reader) {
      if id != 0 { throw .badValue("id") }
      self = .event(event)
    } else {
      throw .unknownKind(kind)
    }
    try reader.finish()
  }
}

extension WireWriter {
  fileprivate mutating func header(_ kind: UInt8, id: UInt32) {
    integer(kind)
    integer(id)
  }
}

extension ControlRequest {
  fileprivate func write(id: UInt32, to writer: inout WireWriter) {
    switch self {
    case .descriptors: writer.header(ControlMessage.Kind.descriptors, id: id)
    case .configure(let configuration):
      writer.header(ControlMessage.Kind.configure, id: id)
      configuration.write(to: &writer)
    case .start: writer.header(ControlMessage.Kind.start, id: id)
    case .stop: writer.header(ControlMessage.Kind.stop, id: id)
    case .kill: writer.header(ControlMessage.Kind.kill, id: id)
    case .pause: writer.header(ControlMessage.Kind.pause, id: id)
    case .resume: writer.header(ControlMessage.Kind.resume, id: id)
    case .reset: writer.header(ControlMessage.Kind.reset, id: id)
    case .resizeConsole(let columns, let rows):
      writer.header(ControlMessage.Kind.resizeConsole, id: id)
      writer.integer(columns)
      writer.integer(rows)
    case .balloon(let target):
      writer.header(ControlMessage.Kind.balloon, id: id)
      writer.integer(target)
    case .resizeDisk(let serial, let size):
      writer.header(ControlMessage.Kind.resizeDisk, id: id)
      writer.string(serial)
      writer.integer(size)
    case .limitDisk(let serial, let rates):
      writer.header(ControlMessage.Kind.limitDisk, id: id)
      writer.string(serial)
      rates.write(to: &writer)
    case .status: writer.header(ControlMessage.Kind.status, id: id)
    case .attachConsole(let backlog):
      writer.header(ControlMessage.Kind.attachConsole, id: id)
      writer.integer(backlog)
    case .attachPort(let name):
      writer.header(ControlMessage.Kind.attachPort, id: id)
      writer.string(name)
    case .attachBroker: writer.header(ControlMessage.Kind.attachBroker, id: id)
    case .attachDisk(let serial):
      writer.header(ControlMessage.Kind.attachDisk, id: id)
      writer.string(serial)
    case .checkpoint(let checkpoint):
      writer.header(ControlMessage.Kind.checkpoint, id: id)
      checkpoint.write(to: &writer)
    case .attachSide(let disk, let side):
      writer.header(ControlMessage.Kind.attachSide, id: id)
      writer.string(disk)
      side.write(to: &writer)
    case .revert(let reversion):
      writer.header(ControlMessage.Kind.revert, id: id)
      reversion.write(to: &writer)
    }
  }

  fileprivate init?(kind: UInt8, from reader: inout WireReader) throws(WireError) {
    switch kind {
    case ControlMessage.Kind.descriptors: self = .descriptors
    case ControlMessage.Kind.configure: self = .configure(try MachineConfiguration(from: &reader))
    case ControlMessage.Kind.start: self = .start
    case ControlMessage.Kind.stop: self = .stop
    case ControlMessage.Kind.kill: self = .kill
    case ControlMessage.Kind.pause: self = .pause
    case ControlMessage.Kind.resume: self = .resume
    case ControlMessage.Kind.reset: self = .reset
    case ControlMessage.Kind.resizeConsole:
      self = .resizeConsole(columns: try reader.integer(), rows: try reader.integer())
    case ControlMessage.Kind.balloon: self = .balloon(target: try reader.integer())
    case ControlMessage.Kind.resizeDisk:
      self = .resizeDisk(try reader.string("disk"), try reader.integer())
    case ControlMessage.Kind.limitDisk:
      self = .limitDisk(try reader.string("disk"), try DiskRates(from: &reader))
    case ControlMessage.Kind.status: self = .status
    case ControlMessage.Kind.attachConsole: self = .attachConsole(backlog: try reader.integer())
    case ControlMessage.Kind.attachPort: self = .attachPort(name: try reader.string("port name"))
    case ControlMessage.Kind.attachBroker: self = .attachBroker
    case ControlMessage.Kind.attachDisk: self = .attachDisk(try reader.string("disk"))
    case ControlMessage.Kind.checkpoint: self = .checkpoint(try Checkpoint(from: &reader))
    case ControlMessage.Kind.attachSide:
      self = .attachSide(try reader.string("disk"), try .init(from: &reader))
    case ControlMessage.Kind.revert: self = .revert(try Reversion(from: &reader))
    default: return nil
    }
  }
}

extension ControlReply {
  fileprivate func write(id: UInt32, to writer: inout WireWriter) {
    switch self {
    case .done: writer.header(ControlMessage.Kind.done, id: id)
    case .memory: writer.header(ControlMessage.Kind.memory, id: id)
    case .status(let status):
      writer.header(ControlMessage.Kind.statusReply, id: id)
      status.write(to: &writer)
    case .refused(let failure):
      writer.header(ControlMessage.Kind.refused, id: id)
      writer.integer(failure.code.rawValue)
      writer.string(failure.phase)
      writer.string(failure.message)
    }
  }

  fileprivate init?(kind: UInt8, from reader: inout WireReader) throws(WireError) {
    switch kind {
    case ControlMessage.Kind.done: self = .done
    case ControlMessage.Kind.memory: self = .memory
    case ControlMessage.Kind.statusReply:
      self = .status(try MachineStatus(from: &reader))
    case ControlMessage.Kind.refused:
      self = .refused(
        ControlFailure(
          try reader.choice("failure code"), phase: try reader.string("phase"),
          message: try reader.string("message")))
    default: return nil
    }
  }
}

extension ControlEvent {
  fileprivate func write(to writer: inout WireWriter) {
    switch self {
    case .started: writer.header(ControlMessage.Kind.started, id: 0)
    case .guestPoweredOff(let code):
      writer.header(ControlMessage.Kind.guestPoweredOff, id: 0)
      writer.optional(code) { $0.integer($1) }
    case .guestReset: writer.header(ControlMessage.Kind.guestReset, id: 0)
    case .guestPanicked(let message):
      writer.header(ControlMessage.Kind.guestPanicked, id: 0)
      writer.string(message)
    case .failed(let phase, let message):
      writer.header(ControlMessage.Kind.failed, id: 0)
      writer.string(phase)
      writer.string(message)
    case .warning(let line):
      writer.header(ControlMessage.Kind.warning, id: 0)
      writer.string(line)
    case .diskFailed(let disk, let operation, let errorNumber):
      writer.header(ControlMessage.Kind.diskFailed, id: 0)
      writer.string(disk)
      writer.string(operation)
      writer.integer(errorNumber)
    case .diskLost(let disk, let reason):
      writer.header(ControlMessage.Kind.diskLost, id: 0)
      writer.string(disk)
      writer.string(reason)
    case .diskReturned(let disk):
      writer.header(ControlMessage.Kind.diskReturned, id: 0)
      writer.string(disk)
    case .diskFull(let disk, let isFull):
      writer.header(ControlMessage.Kind.diskFull, id: 0)
      writer.string(disk)
      writer.flag(isFull)
    case .memoryKept(let failure):
      writer.header(ControlMessage.Kind.memoryKept, id: 0)
      writer.optional(failure) { $0.string($1) }
    case .mirrorChanged(let status):
      writer.header(ControlMessage.Kind.mirrorChanged, id: 0)
      status.write(to: &writer)
    }
  }

  fileprivate init?(kind: UInt8, from reader: inout WireReader) throws(WireError) {
    switch kind {
    case ControlMessage.Kind.started: self = .started
    case ControlMessage.Kind.guestPoweredOff:
      self = .guestPoweredOff(
        code: try reader.optional("code") { (reader) throws(WireError) in try reader.integer() })
    case ControlMessage.Kind.guestReset: self = .guestReset
    case ControlMessage.Kind.guestPanicked: self = .guestPanicked(message: try reader.string("message"))
    case ControlMessage.Kind.failed:
      self = .failed(phase: try reader.string("phase"), message: try reader.string("message"))
    case ControlMessage.Kind.warning: self = .warning(line: try reader.string("line"))
    case ControlMessage.Kind.diskFailed:
      self = .diskFailed(
        disk: try reader.string("disk"), operation: try reader.string("operation"),
        errorNumber: try reader.integer())
    case ControlMessage.Kind.diskLost:
      self = .diskLost(disk: try reader.string("disk"), reason: try reader.string("reason"))
    case ControlMessage.Kind.diskReturned: self = .diskReturned(disk: try reader.string("disk"))
    case ControlMessage.Kind.diskFull:
      self = .diskFull(disk: try reader.string("disk"), isFull: try reader.flag("full"))
    case ControlMessage.Kind.mirrorChanged: self = .mirrorChanged(try MirrorStatus(from: &reader))
    case ControlMessage.Kind.memoryKept:
      self = .memoryKept(
        failure: try reader.optional("failure") { (reader) throws(WireError) in try reader.string("failure") }
      )
    default: return nil
    }
  }
}
