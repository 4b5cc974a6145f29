/// Which layers become disks of a backup: those that something in it is, and those that several such stand on. What
/// lies between goes into the one above it, so that nothing is in the backup twice, and nothing is that nobody needs.
struct LayerSelection {
  struct Disk: Equatable {
    /// The layer that it is named by, and those beneath that go into it: nearest first.
    let layers: [String]
    /// The place of the one that it stands on.
    let over: Int?
  }

  /// Each behind the one that it stands on.
  private(set) var disks: [Disk] = []
  private var places: [String: Int] = [:]

  /// `chains` are the layers of each disk that is kept, nearest first.
  init(_ chains: [[String]]) {
    var above: [String: Set<String>] = [:]
    for chain in chains {
      for (upper, lower) in zip(chain, chain.dropFirst()) { above[lower, default: []].insert(upper) }
    }
    var kept = Set(chains.compactMap(\.first))
    kept.formUnion(above.filter { $0.value.count > 1 }.keys)
    for chain in chains {
      var end = chain.count
      for place in chain.indices.reversed() where kept.contains(chain[place]) {
        defer { end = place }
        if places[chain[place]] != nil { continue }
        places[chain[place]] = disks.count
        disks.append(
          Disk(layers: Array(chain[place..<end]), over: end < chain.count ? places[chain[end]] : nil))
      }
    }
  }

  /// The place of a layer that is kept.
  subscript(_ layer: String) -> Int? { places[layer] }
}
