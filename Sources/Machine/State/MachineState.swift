package import GuestMemory
internal import MachineControl

/// A machine at one moment, but for its disks and what its memory holds: a CBOR map (RFC 8949).
///
/// What the machine is made of comes first, and is compared with what is to go on from it. Then come the parts, each
/// with a name, a kind and a version of its own; a machine takes all of them, and leaves none unread.
package struct MachineState: Codable, Equatable, Sendable {
  static let format = "volary machine state"
  /// Grows when older programs could not read the rest.
  package static let version = 1
  /// Bytes at most.
  static let mostBytes = 64 << 20

  /// What one device or CPU is.
  package struct Part: Codable, Equatable, Sendable {
    /// Which of the machine's it is.
    package var name: String
    /// What its state is a state of.
    package var kind: String
    package var version: Int
    /// A data item of CBOR.
    package var content: StateBytes

    package init(name: String, kind: String, version: Int, content: StateBytes) {
      self.name = name
      self.kind = kind
      self.version = version
      self.content = content
    }
  }

  /// Where the guest's memory is, if that is more than one file (``GuestMemory/Layers``).
  package struct Memory: Codable, Equatable, Sendable {
    package var files: Int
    package var chunkShift: Int
    package var sources: StateBytes
  }

  package var format: String
  package var version: Int
  /// The version of Volary that kept it.
  package var program: String
  package var build: Build
  package var memory: Memory
  package var parts: [Part]

  /// What a machine has to be to go on from the state.
  package struct Build: Codable, Equatable, Sendable {
    /// The board: `virt` or `pc`.
    package var board: String
    /// What guest code ran on. Translator and interpreter are one and the same to a guest.
    package var engine: String
    /// What the guest was told of its processors' features, where that does not lie in their parts.
    package var processors: String
    package var cpus: Int
    /// Bytes.
    package var memory: UInt64
    /// The kinds of the virtio devices, in order.
    package var devices: [String]
  }

  package init(build: Build, memory: GuestMemory.Layers, parts: [Part]) {
    format = Self.format
    version = Self.version
    program = volaryVersion
    self.build = build
    self.memory = Memory(
      files: memory.files.count, chunkShift: memory.chunkShift, sources: StateBytes(memory.sources))
    self.parts = parts
  }

  package func encoded() throws(MachineStateError) -> [UInt8] {
    do { return try CBOREncoder.encode(self).encoded() } catch { throw .damaged("\(error)") }
  }

  /// Reads a state; any bytes may come.
  package init(decoding bytes: [UInt8]) throws(MachineStateError) {
    struct Head: Decodable {
      var format: String
      var version: Int
      var program: String
    }
    do {
      let value = try CBORValue(decoding: bytes)
      guard let head = try? CBORDecoder.decode(Head.self, from: value), head.format == Self.format else {
        throw MachineStateError.notOurs
      }
      guard head.version == Self.version else {
        throw MachineStateError.otherVersion(of: "the state", kept: head.version, by: head.program)
      }
      self = try CBORDecoder.decode(from: value)
    } catch let error as MachineStateError {
      throw error
    } catch let error as CBORError {
      throw error == .truncated ? .damaged("it ends too early") : .damaged("\(error)")
    } catch { throw .damaged("\(error)") }
  }

  /// Throws unless a machine that was built so can go on from the state.
  package func check(fits other: Build) throws(MachineStateError) {
    func check(_ what: String, _ kept: some Equatable, _ here: some Equatable) throws(MachineStateError) {
      if "\(kept)" != "\(here)" { throw .differs(what, kept: "\(kept)", here: "\(here)") }
    }
    try check("board", build.board, other.board)
    try check("engine", build.engine, other.engine)
    try check("number of CPUs", build.cpus, other.cpus)
    try check("bytes of memory", build.memory, other.memory)
    try check("devices", build.devices.joined(separator: ", "), other.devices.joined(separator: ", "))
    try check("processor", build.processors, other.processors)
  }
}

/// Why a machine cannot go on from a state. The description says the way out.
package enum MachineStateError: Error, Equatable, CustomStringConvertible {
  case notOurs
  case damaged(String)
  case otherVersion(of: String, kept: Int, by: String)
  case differs(String, kept: String, here: String)
  case missing(String)
  case unread([String])
  /// The host, or a device, does not take a part.
  case refused(String, reason: String)

  package var description: String {
    switch self {
    case .notOurs: "the file holds no state of a machine: name one that Volary kept"
    case .damaged(let reason): "the state is damaged (\(reason)): take an older snapshot, or start anew"
    case .otherVersion(let what, let kept, let program):
      "\(what) was kept in version \(kept) by Volary \(program): go on with that program, or start anew"
    case .differs(let what, let kept, let here):
      "the state is of a machine whose \(what) was \(kept), and is \(here) now: configure it as it was, or start anew"
    case .missing(let part): "the state has nothing of \(part), which the machine has: start anew"
    case .unread(let parts):
      "the state is of a machine that had \(parts.joined(separator: ", ")): configure it as it was, or start anew"
    case .refused(let part, let reason): "\(part) cannot go on: \(reason)"
    }
  }
}
