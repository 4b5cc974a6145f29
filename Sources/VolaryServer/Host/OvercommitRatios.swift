package import VolaryAPI

/// How many times what the host has may be promised to instances.
package struct OvercommitRatios: Equatable, Sendable {
  package static let cpusKey = "core.overcommit_cpus"
  package static let memoryKey = "core.overcommit_memory"
  package static let diskKey = "core.overcommit_disk"
  package static let keys = [cpusKey, memoryKey, diskKey]

  /// Processor time is shared by the moment, and most guests wait most of the time.
  package var cpus = 16.0
  /// A guest's memory is taken only as it is touched, and comes back when it is freed; but what all touch at once has
  /// to be there.
  package var memory = 1.5
  /// Disks have holes where nothing was written.
  package var disk = 10.0

  package init() {}

  /// Reads the daemon's settings; keys that are not there leave the usual ratio. Throws `invalid` for what is none.
  package init(_ settings: [String: String]) throws(APIError) {
    for (key, field) in [
      (Self.cpusKey, \OvercommitRatios.cpus), (Self.memoryKey, \.memory), (Self.diskKey, \.disk),
    ] {
      guard let value = settings[key], !value.isEmpty else { continue }
      guard let ratio = Double(value), (0.01...100_000).contains(ratio),
        value.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2E })
      else {
        throw .invalid(
          "`\(key)` has to be a number from 0.01 to 100000",
          wayOut: "1 promises no more than there is, 1.5 half as much again")
      }
      self[keyPath: field] = ratio
    }
  }
}
