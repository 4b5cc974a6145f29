internal import Foundation
internal import Glibc
package import HostSystem

/// What was kept of an instance's machine at one moment: a folder with the state of its CPUs and devices, with its
/// memory, and with what it takes to build the same machine again.
package struct KeptMachine: Equatable, Sendable {
  /// What the machine was built with, whatever its instance's configuration says since.
  package struct Build: Codable, Equatable, Sendable {
    package var cpus: Int
    /// Bytes.
    package var memory: UInt64

    package init(cpus: Int, memory: UInt64) {
      self.cpus = cpus
      self.memory = memory
    }
  }

  /// Opened, for a machine that is to go on from it.
  package struct Opened: Sendable {
    package var state: Descriptor
    /// From the lowest layer to the one that was written last.
    package var memory: [Descriptor]
    package var build: Build

    package init(state: Descriptor, memory: [Descriptor], build: Build) {
      self.state = state
      self.memory = memory
      self.build = build
    }
  }

  package let path: String

  package init(_ path: String) { self.path = path }

  private var state: String { path + "/state" }
  private var memory: String { path + "/memory" }
  /// Written last: without it the rest is not whole.
  private var build: String { path + "/build.json" }

  /// Whether all of it is there.
  package var isWhole: Bool { access(build, R_OK) == 0 }

  /// Makes the folder anew, with empty files to be filled.
  package func make() throws -> (state: Descriptor, memory: Descriptor) {
    remove()
    try FileManager.default.createDirectory(
      atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    return (
      try Descriptor.open(state, O_RDWR | O_CREAT | O_EXCL),
      try Descriptor.open(memory, O_RDWR | O_CREAT | O_EXCL)
    )
  }

  /// Says that the files hold what they are to, which is on the host's disk when this returns.
  package func complete(_ facts: Build) throws {
    let file = try Descriptor.open(build, O_RDWR | O_CREAT | O_EXCL)
    try file.writeAll([UInt8](try JSONEncoder().encode(facts))[...], at: 0)
    try file.synchronize()
    for folder in [path, (path as NSString).deletingLastPathComponent] {
      try Descriptor.open(folder, O_RDONLY | O_DIRECTORY).synchronize()
    }
  }

  package func open() throws -> Opened {
    Opened(
      state: try .open(state, O_RDONLY), memory: [try .open(memory, O_RDONLY)],
      build: try JSONDecoder().decode(Build.self, from: Data(contentsOf: URL(fileURLWithPath: build))))
  }

  /// Has another folder hold the same, without a copy: nobody changes the files.
  package func share(as other: KeptMachine) throws {
    other.remove()
    try FileManager.default.createDirectory(
      atPath: other.path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    for (from, to) in [(state, other.state), (memory, other.memory), (build, other.build)] {
      try FileManager.default.linkItem(atPath: from, toPath: to)
    }
    try Descriptor.open(other.path, O_RDONLY | O_DIRECTORY).synchronize()
  }

  /// Bytes that it takes on the host's disk.
  package var storedBytes: Int64 {
    [state, memory].reduce(0) { sum, path in
      sum + ((try? Descriptor.open(path, O_RDONLY).storedBytes()) ?? 0)
    }
  }

  package func remove() {
    // What says that it is whole goes first.
    unlink(build)
    ImageStore.removeTree(URL(fileURLWithPath: path, isDirectory: true))
  }
}
