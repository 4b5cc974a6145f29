/// A block of guest code in a profile, under one key, whatever became of its translations.
package struct ProfiledBlock: Sendable {
  /// Blocks of different programs may lie at one address: the bytes tell them apart.
  package struct Identity: Hashable, Comparable, Sendable {
    package var address: UInt64
    package var key: UInt64
    var code: UInt64

    package static func < (a: Identity, b: Identity) -> Bool {
      (a.address, a.key, a.code) < (b.address, b.key, b.code)
    }
  }

  package let identity: Identity
  /// Guest instructions in it.
  package let instructions: Int
  /// How often it was entered.
  package var executions: UInt64 = 0
  /// Guest instructions executed in it.
  package var executedInstructions: UInt64 = 0
  /// How often it was translated.
  package var translations = 0
  /// Bytes of its last translation.
  package var codeBytes = 0
  package var listing: BlockListing?

  init(identity: Identity, instructions: Int) {
    self.identity = identity
    self.instructions = instructions
  }
}
