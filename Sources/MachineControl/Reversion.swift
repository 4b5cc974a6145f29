/// What a machine that was started is to become again, in its own process: what was kept of it, or of one that is made
/// as it is, by a ``Checkpoint``.
///
/// Files are named by their place in the list of descriptors that is handed over with the request. What can be refused
/// is refused before anything is changed, but for what devices and CPUs do not take: then the machine stays paused, and
/// is good for nothing but its end.
package struct Reversion: Equatable, Sendable {
  package var restoration: MachineConfiguration.Restoration
  /// What the disks are from then on: each is named by its serial number. Those that are not named stay what they are.
  package var disks: [MachineConfiguration.Disk]

  package init(restoration: MachineConfiguration.Restoration, disks: [MachineConfiguration.Disk] = []) {
    self.restoration = restoration
    self.disks = disks
  }

  /// Throws the first thing that is wrong. `descriptorCount` descriptors are handed over with it.
  package func validate(descriptorCount count: Int) throws(ConfigurationError) {
    typealias Limits = MachineConfiguration.Limits
    for (index, disk) in disks.enumerated() { try disk.validate(at: index) }
    if disks.count > Limits.disks { throw .tooMany("disks", most: Limits.disks) }
    guard (1...Limits.memoryLayers).contains(restoration.memory.count) else {
      throw .tooMany("files of memory", most: Limits.memoryLayers)
    }
    let uses =
      disks.enumerated().flatMap { $0.element.ownDescriptors(at: $0.offset) }
      + [(what: "the state", index: restoration.state)]
      + restoration.memory.map { (what: "the memory", index: $0) }
    try MachineConfiguration.validate(uses, of: disks, count: count)
  }
}

extension Reversion {
  func write(to writer: inout WireWriter) {
    restoration.write(to: &writer)
    writer.list(disks) { $1.write(to: &$0) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      restoration: try .init(from: &reader),
      disks: try reader.list("disks") { (reader) throws(WireError) in try .init(from: &reader) })
  }
}

extension MachineConfiguration.Restoration {
  func write(to writer: inout WireWriter) {
    writer.index(state)
    writer.list(memory) { $0.index($1) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      state: try reader.index(),
      memory: try reader.list("memory") { (reader) throws(WireError) in try reader.index() })
  }
}
