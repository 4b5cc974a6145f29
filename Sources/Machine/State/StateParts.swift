internal import Devices

/// Names the parts of a machine one after the other: to keep them, or to have them go on. The same function names them
/// in both cases, so that what is kept is what is read.
///
/// A part's content that decodes and makes no sense is the part's own affair: it takes what can be of it.
package struct StateParts {
  private enum Direction {
    case keeping
    case restoring(program: String)
  }

  private let direction: Direction
  package private(set) var parts: [MachineState.Part]

  /// For keeping.
  package init() {
    direction = .keeping
    parts = []
  }

  /// For going on from a state.
  package init(restoring state: MachineState) {
    direction = .restoring(program: state.program)
    parts = state.parts
  }

  /// The part called `name`: kept from what `get` gives, or given to `set`.
  mutating func part<Value: Codable>(
    _ name: String, kind: String, version: Int, get: () throws -> Value, set: (Value) throws -> Void
  ) throws(MachineStateError) {
    switch direction {
    case .keeping:
      do {
        let content = StateBytes(try CBOREncoder.encode(try get()).encoded())
        parts.append(MachineState.Part(name: name, kind: kind, version: version, content: content))
      } catch { throw .refused(name, reason: "\(error)") }
    case .restoring(let program):
      guard let index = parts.firstIndex(where: { $0.name == name }) else { throw .missing(name) }
      let part = parts.remove(at: index)
      guard part.kind == kind else { throw .differs(name, kept: part.kind, here: kind) }
      guard part.version == version else {
        throw .otherVersion(of: name, kept: part.version, by: program)
      }
      let value: Value
      do { value = try CBORDecoder.decode(from: CBORValue(decoding: part.content.bytes)) } catch {
        throw .damaged("\(name): \(error)")
      }
      do { try set(value) } catch { throw .refused(name, reason: "\(error)") }
    }
  }

  /// A device of a board's.
  mutating func device<Subject: StatefulDevice>(
    _ name: String, _ device: Subject
  ) throws(MachineStateError) {
    try part(
      name, kind: Subject.stateKind, version: Subject.stateVersion, get: { device.state },
      set: { device.state = $0 })
  }

  /// What a virtio device keeps beside its transport's registers, if that is anything.
  mutating func virtio(_ name: String, _ device: any VirtioDevice) throws(MachineStateError) {
    guard let device = device as? any StatefulVirtioDevice else { return }
    try opened(name, device)
  }

  private mutating func opened<Subject: StatefulVirtioDevice>(
    _ name: String, _ device: Subject
  ) throws(MachineStateError) {
    try part(
      name, kind: Subject.stateKind, version: Subject.stateVersion, get: { device.state },
      set: { device.state = $0 })
  }

  /// Throws when a state has parts that the machine has not.
  package func finish() throws(MachineStateError) {
    if case .restoring = direction, !parts.isEmpty { throw .unread(parts.map(\.name)) }
  }
}
