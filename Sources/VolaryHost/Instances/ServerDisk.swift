package import DiskImages
package import HostSystem
package import MachineControl

/// A disk on a server, as a machine is given it.
package struct ServerDisk: Equatable, Sendable {
  package let location: NBDLocation
  /// `raw` or `qcow2`. It is stated, never guessed: what the disk begins with is a guest's to write.
  package let format: MachineConfiguration.Disk.Format
  package let cache: MachineConfiguration.Disk.Cache
  package let isReadOnly: Bool
  /// By which its guest knows it: 20 bytes at most.
  package let serial: String

  package init(
    _ location: NBDLocation, format: MachineConfiguration.Disk.Format = .raw,
    cache: MachineConfiguration.Disk.Cache = .writeback, isReadOnly: Bool = false, serial: String
  ) {
    self.location = location
    self.format = format
    self.cache = cache
    self.isReadOnly = isReadOnly
    self.serial = serial
  }

  /// Connects, and says what the machine is told; `add` gives the socket its place among what is handed over.
  package func connected(
    for machine: String, _ add: (Descriptor) -> Int
  ) throws(VolaryError) -> MachineConfiguration.Disk {
    try Self.check(location)
    let socket: Descriptor
    do throws(Errno) { socket = try location.connect() } catch {
      throw VolaryError(
        .failed, "\(machine): the server of the disk \(location) cannot be reached: \(error)",
        wayOut: "see whether it runs: nbdinfo --list \(location)")
    }
    return .init(
      file: add(socket), format: format, size: 0, readOnly: isReadOnly, cache: cache, serial: serial,
      server: .init(export: location.export, name: location.description))
  }

  /// Throws for what no machine can have as a disk.
  package static func check(_ location: NBDLocation) throws(VolaryError) {
    guard location.tls != nil else { return }
    // libnbd compares a certificate's name only when it connects by itself, and GnuTLS can be no part of a static
    // program: docs/decisions/0017 and 0019.
    throw VolaryError(
      .usage, "\(location): machines take no disks over TLS, because their processes open no connections",
      wayOut:
        "make a tunnel, as 'ssh -L 10809:localhost:10809 HOST' or stunnel does, and name nbd://localhost")
  }
}
