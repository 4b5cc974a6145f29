/// A device and where it sits on a bus.
protocol AddressMapping {
  /// The device's first address.
  var start: UInt64 { get }
  /// How many addresses it decodes, one byte each.
  var size: UInt64 { get }
  var name: String { get }
}

/// Which device of a bus decodes which addresses. No two decode the same.
struct AddressDecoder<Mapping: AddressMapping & Sendable>: Sendable {
  /// In order of address.
  let mappings: [Mapping]

  init(_ mappings: [Mapping]) throws(MMIOBus.BuildError) {
    self.mappings = mappings.sorted { $0.start < $1.start }
    for (lower, upper) in zip(self.mappings, self.mappings.dropFirst())
    where upper.start - lower.start < lower.size {
      throw .overlap(lower.name, upper.name)
    }
  }

  /// The device that decodes all of an access of `width` bytes, and the access's offset into it.
  func find(_ address: UInt64, width: Int) throws(BusFault) -> (mapping: Mapping, offset: UInt64) {
    var low = 0
    var high = mappings.count
    while low < high {
      let middle = (low + high) / 2
      if mappings[middle].start <= address { low = middle + 1 } else { high = middle }
    }
    guard low > 0 else { throw .unclaimed }
    let mapping = mappings[low - 1]
    let offset = address - mapping.start
    guard offset < mapping.size, UInt64(width) <= mapping.size - offset else { throw .unclaimed }
    return (mapping, offset)
  }
}
