extension MachineConfiguration {
  func write(to writer: inout WireWriter) {
    writer.string(name)
    writer.integer(architecture.rawValue)
    writer.integer(engine.rawValue)
    writer.integer(resetAction.rawValue)
    writer.index(cpus)
    writer.integer(memory)
    writer.index(boot.kernel)
    writer.list(boot.initrd) { $0.index($1) }
    writer.string(boot.append)
    writer.list(disks) { $1.write(to: &$0) }
    writer.optional(network) {
      $0.index($1.frames)
      $0.data($1.mac)
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
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      name: try reader.string("name"),
      architecture: try reader.choice("architecture"),
      engine: try reader.choice("engine"),
      resetAction: try reader.choice("reset action"),
      cpus: try reader.index(),
      memory: try reader.integer(),
      boot: Boot(
        kernel: try reader.index(),
        initrd: try reader.list("initrd") { (reader) throws(WireError) in try reader.index() },
        append: try reader.string("append")),
      disks: try reader.list("disks") { (reader) throws(WireError) in try Disk(from: &reader) },
      network: try reader.optional("network") { (reader) throws(WireError) in
        Network(frames: try reader.index(), mac: try reader.data("mac"))
      },
      consolePorts: try reader.list("console ports") { (reader) throws(WireError) in
        ConsolePort(name: try reader.string("port name"), stream: try reader.index())
      },
      serial: try reader.optional("serial") { (reader) throws(WireError) in try reader.index() },
      entropySeed: try reader.data("entropy seed"),
      profile: try reader.optional("profile") { (reader) throws(WireError) in try reader.index() },
      perfMap: try reader.optional("perf map") { (reader) throws(WireError) in try reader.index() },
      virtioBus: try reader.choice("virtio bus"),
      kvm: try reader.optional("kvm") { (reader) throws(WireError) in try reader.index() })
  }
}

extension MachineConfiguration.Disk {
  fileprivate func write(to writer: inout WireWriter) {
    writer.index(file)
    writer.optional(base) { $0.index($1) }
    writer.integer(format.rawValue)
    writer.integer(size)
    writer.flag(readOnly)
    writer.flag(ephemeral)
    writer.string(serial)
  }

  fileprivate init(from reader: inout WireReader) throws(WireError) {
    self.init(
      file: try reader.index(),
      base: try reader.optional("disk base") { (reader) throws(WireError) in try reader.index() },
      format: try reader.choice("disk format"),
      size: try reader.integer(),
      readOnly: try reader.flag("read-only"),
      ephemeral: try reader.flag("ephemeral"),
      serial: try reader.string("disk serial"))
  }
}
