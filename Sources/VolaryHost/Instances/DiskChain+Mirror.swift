package import MachineControl

extension DiskChain {
  /// What makes a chain one side of a disk that is on two.
  package struct Mirror: Equatable, Sendable {
    package typealias Label = MachineConfiguration.Disk.Label

    /// Another chain for the same disk.
    package struct Side: Equatable, Sendable {
      package let label: Label
      /// One at least.
      package let layers: [Layer]

      package init(_ label: Label, layers: [Layer]) {
        self.label = label
        self.layers = layers
      }
    }

    /// The path of the pair's metadata.
    package let metadata: String
    /// How the metadata know the side that is the chain's own.
    package let own: Label
    /// Nil where one side alone is there.
    package let other: Side?

    package init(metadata: String, own: Label, other: Side?) {
      self.metadata = metadata
      self.own = own
      self.other = other
    }
  }
}
