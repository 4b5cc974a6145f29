internal import VolaryAPI

/// Pools that are in two places, either of which may be gone.
extension StoragePools {
  /// The places of the sides that a mirrored pool has.
  static let places = 0..<2

  func isMirrored(_ pool: String) -> Bool { record(pool)?.mirror != nil }

  /// The directories of a pool, by their places: two of a mirrored one.
  func sources(of record: StoragePoolRecord) -> [String] {
    [source(of: record)] + (record.mirror.map { [$0] } ?? [])
  }

  /// The directory of a side.
  func source(_ pool: String, side: Int) -> String {
    record(pool).map { sources(of: $0) }?.dropFirst(side).first ?? "/nonexistent"
  }

  /// What keeps a side from being used; nil when it is there.
  func sideProblem(of name: String, _ side: Int) -> String? {
    guard let record = record(name) else { return "the store does not know it" }
    let marks = [record.mark, record.mirrorMark]
    guard let source = sources(of: record).dropFirst(side).first else { return "there is no such side" }
    return Self.problem(marks[side], in: source)
  }

  /// What a pool lacks that is there.
  func degradation(of name: String) -> Condition? {
    guard isMirrored(name), recentProblem(of: name) == nil else { return nil }
    let problems = Self.places.compactMap { sideProblem(of: name, $0) }
    guard let problem = problems.first else { return nil }
    return Condition(
      type: "StorageDegraded", status: true, reason: "SideMissing",
      message:
        "the storage pool `\(name)` has one side alone: \(problem); bring the other back, or give an empty "
        + "directory in its place, and then run 'volary storage repair \(name)'", since: .never)
  }
}
