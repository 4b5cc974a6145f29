extension MachineConfiguration {
  func write(to writer: inout WireWriter) {
    writer.string(name)
    writer.integer(architecture.rawValue)
    writer.integer(engine.rawValue)
    writer.integer(resetAction.rawValue)
    writer.index(cpus)
    writer.integer(memory)
    writer.optional(boot.kernel) {
      $0.index($1.file)
      $0.list($1.initrd) { $0.index($1) }
      $0.string($1.append)
    }
    writer.optional(boot.firmware) {
      $0.index($1.code)
      $0.index($1.variables)
      $0.flag($1.keepsVariables)
    }
    writer.list(disks) { $1.write(to: &$0) }
    writer.optional(network) {
      $0.index($1.frames)
      $0.data($1.mac)
      $0.flag($1.isTAP)
      $0.optional($1.vhost) { $0.index($1) }
    }
    writer.list(consolePorts) {
      $0.string($1.name)
      $0.index($1.stream)
    }
    writer.optional(serial) { $0.index($1) }
    writer.data(entropySeed)
    writer.optional(profile) { $0.index($1) }
    writer.optional(perfMap) { $0.index($1) }
    writer.integer(virtioBus.rawValue)
    writer.optional(kvm) { $0.index($1) }
    writer.optional(sockets) {
      $0.index($1.broker)
      $0.integer($1.guestCID)
    }
    writer.optional(record) { $0.index($1) }
    writer.optional(consoleLog) { $0.index($1) }
    writer.optional(restoration) { $1.write(to: &$0) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      name: try reader.string("name"),
      architecture: try reader.choice("architecture"),
      engine: try reader.choice("engine"),
      resetAction: try reader.choice("reset action"),
      cpus: try reader.index(),
      memory: try reader.integer(),
      boot: try Boot(from: &reader),
      disks: try reader.list("disks") { (reader) throws(WireError) in try Disk(from: &reader) },
      network: try reader.optional("network") { (reader) throws(WireError) in
        Network(
          frames: try reader.index(), mac: try reader.data("mac"), isTAP: try reader.flag("TAP device"),
          vhost: try reader.optional("vhost") { (reader) throws(WireError) in try reader.index() })
      },
      consolePorts: try reader.list("console ports") { (reader) throws(WireError) in
        ConsolePort(name: try reader.string("port name"), stream: try reader.index())
      },
      serial: try reader.optional("serial") { (reader) throws(WireError) in try reader.index() },
      entropySeed: try reader.data("entropy seed"),
      profile: try reader.optional("profile") { (reader) throws(WireError) in try reader.index() },
      perfMap: try reader.optional("perf map") { (reader) throws(WireError) in try reader.index() },
      virtioBus: try reader.choice("virtio bus"),
      kvm: try reader.optional("kvm") { (reader) throws(WireError) in try reader.index() },
      sockets: try reader.optional("sockets") { (reader) throws(WireError) in
        Sockets(broker: try reader.index(), guestCID: try reader.integer())
      },
      record: try reader.optional("record") { (reader) throws(WireError) in try reader.index() },
      consoleLog: try reader.optional("console log") { (reader) throws(WireError) in try reader.index() },
      restoration: try reader.optional("restoration") { (reader) throws(WireError) in
        try Restoration(from: &reader)
      })
  }
}

extension MachineConfiguration.Boot {
  fileprivate init(from reader: inout WireReader) throws(WireError) {
    let kernel = try reader.optional("kernel") { (reader) throws(WireError) in
      MachineConfiguration.Kernel(
        try reader.index(),
        initrd: try reader.list("initrd") { (reader) throws(WireError) in try reader.index() },
        append: try reader.string("append"))
    }
    let firmware = try reader.optional("firmware") { (reader) throws(WireError) in
      MachineConfiguration.Firmware(
        code: try reader.index(), variables: try reader.index(),
        keepsVariables: try reader.flag("keeps variables"))
    }
    switch (kernel, firmware) {
    case (let kernel?, nil): self = .kernel(kernel)
    case (nil, let firmware?): self = .firmware(firmware)
    default: throw .badValue("boot")
    }
  }
}

extension MachineConfiguration.Disk {
  func write(to writer: inout WireWriter) {
    writer.index(file)
    writer.list(layers) { $1.write(to: &$0) }
    writer.integer(format.rawValue)
    writer.integer(size)
    writer.flag(readOnly)
    writer.flag(ephemeral)
    writer.integer(cache.rawValue)
    writer.flag(waitsForRoom)
    writer.optional(mirror) { $1.write(to: &$0) }
    writer.string(serial)
    writer.optional(server) {
      $0.string($1.export)
      $0.string($1.name)
    }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      file: try reader.index(),
      layers: try reader.list("disk layers") { (reader) throws(WireError) in try Layer(from: &reader) },
      format: try reader.choice("disk format"),
      size: try reader.integer(),
      readOnly: try reader.flag("read-only"),
      ephemeral: try reader.flag("ephemeral"),
      cache: try reader.choice("disk cache"),
      waitsForRoom: try reader.flag("waits for room"),
      mirror: try reader.optional("mirror") { (reader) throws(WireError) in try Mirror(from: &reader) },
      serial: try reader.string("disk serial"),
      server: try reader.optional("server") { (reader) throws(WireError) in
        Server(export: try reader.string("export"), name: try reader.string("server's name"))
      })
  }
}
