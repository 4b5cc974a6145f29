/// What one hart asks of another, carried out between two guest instructions.
package enum HartRequest: Sendable {
  /// Forget translations: of `pages` from an address on (nil: all), in one address space (nil: all).
  case fence(address: UInt64, pages: UInt64?, space: UInt64?)
  /// Drop the cached right to write this page of the memory file.
  case dropWrites(page: Int)
  /// Drop the cached rights to write all pages.
  case dropAllWrites
  /// Forget code that was derived from this page of the memory file: translated, the blocks that began at some
  /// addresses, each with its block key.
  case dropCode(page: Int, starts: [UInt64])
  /// Stay out of translated code until the cache has been emptied.
  case quiesce(generation: UInt32)
}

extension HartRequest {
  var isQuiesce: Bool { if case .quiesce = self { true } else { false } }
  var isFence: Bool { if case .fence = self { true } else { false } }
}
