extension MachineStatus {
  func write(to writer: inout WireWriter) {
    writer.integer(state.rawValue)
    writer.integer(engine.rawValue)
    writer.integer(runningTime)
    writer.list(instructions) { $0.integer($1) }
    writer.integer(exits)
    writer.integer(residentMemory)
    writer.integer(balloon)
    writer.integer(processID)
    writer.integer(guestResets)
    writer.list(disks) { $1.write(to: &$0) }
    writer.optional(network) { $1.write(to: &$0) }
    for count in [memory, balloonTarget, reportedMemory] { writer.integer(count) }
    writer.optional(guestMemory) { $1.write(to: &$0) }
    // Left out where there are none, as in earlier versions.
    if !mirrors.isEmpty || !lostDisks.isEmpty { writer.list(mirrors) { $1.write(to: &$0) } }
    if !lostDisks.isEmpty { writer.list(lostDisks) { $0.string($1) } }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      state: try reader.choice("state"), engine: try reader.choice("engine"),
      runningTime: try reader.integer(),
      instructions: try reader.list("instructions") { (reader) throws(WireError) in try reader.integer() },
      exits: try reader.integer(), residentMemory: try reader.integer(), balloon: try reader.integer(),
      processID: try reader.integer(), guestResets: try reader.integer(),
      disks: try reader.list("disks") { (reader) throws(WireError) in try DiskActivity(from: &reader) },
      network: try reader.optional("network") { (reader) throws(WireError) in
        try NetworkActivity(from: &reader)
      },
      memory: try reader.integer(), balloonTarget: try reader.integer(), reportedMemory: try reader.integer(),
      guestMemory: try reader.optional("guest memory") { (reader) throws(WireError) in
        try GuestMemory(from: &reader)
      })
    if !reader.isAtEnd {
      mirrors = try reader.list("mirrors") { (reader) throws(WireError) in try MirrorStatus(from: &reader) }
      // Where there are none, nothing is said.
      if reader.isAtEnd {
        if mirrors.isEmpty { throw .badValue("mirrors") }
      } else {
        lostDisks = try reader.list("lost disks") { (reader) throws(WireError) in try reader.string("disk") }
        if lostDisks.isEmpty { throw .badValue("lost disks") }
      }
    }
  }
}

extension MachineStatus.DiskActivity {
  fileprivate func write(to writer: inout WireWriter) {
    writer.string(serial)
    for count in [reads, writes, bytesRead, bytesWritten, flushes] { writer.integer(count) }
    writer.flag(isFull)
  }

  fileprivate init(from reader: inout WireReader) throws(WireError) {
    self.init(
      serial: try reader.string("disk serial"), reads: try reader.integer(), writes: try reader.integer(),
      bytesRead: try reader.integer(), bytesWritten: try reader.integer(), flushes: try reader.integer(),
      isFull: try reader.flag("full"))
  }
}

extension MachineStatus.NetworkActivity {
  fileprivate func write(to writer: inout WireWriter) {
    for count in [framesReceived, bytesReceived, framesSent, bytesSent] { writer.integer(count) }
  }

  fileprivate init(from reader: inout WireReader) throws(WireError) {
    self.init(
      framesReceived: try reader.integer(), bytesReceived: try reader.integer(),
      framesSent: try reader.integer(), bytesSent: try reader.integer())
  }
}

extension MachineStatus.GuestMemory {
  fileprivate func write(to writer: inout WireWriter) {
    for count in [free, available, total, diskCaches] { writer.optional(count) { $0.integer($1) } }
  }

  fileprivate init(from reader: inout WireReader) throws(WireError) {
    func count(_ reader: inout WireReader) throws(WireError) -> UInt64? {
      try reader.optional("bytes") { (reader) throws(WireError) in try reader.integer() }
    }
    self.init(
      free: try count(&reader), available: try count(&reader), total: try count(&reader),
      diskCaches: try count(&reader))
  }
}
