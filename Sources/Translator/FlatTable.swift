package import HostSystem
internal import Synchronization

/// A hash table in plain memory, from numbers to numbers; neither may be zero, which means none.
///
/// One writer at a time, under its owner's lock; readers on any thread need none. A slot that has a key keeps
/// it, so that a reader finds a key's value of now or of a moment ago. When the table grows, readers that still
/// look into the old slots find them empty, and what they do not find they look for again under the lock.
package struct FlatTable: ~Copyable {
  /// Where readers find the table, a place that stays as long as it.
  package struct Reader: @unchecked Sendable {  // atomic
    fileprivate let slots: UnsafeMutablePointer<Atomic<UInt>>
  }

  package let reader: Reader
  /// Of each size that the table had; the last one is in use.
  private var mappings: [Mapping] = []
  private var used = 0

  /// The slots begin behind this many bytes; the first eight of them hold the number of slots, less one.
  private static let header = 16

  package init() throws(Errno) {
    let slots = UnsafeMutablePointer<Atomic<UInt>>.allocate(capacity: 1)
    slots.initialize(to: Atomic(0))
    reader = Reader(slots: slots)
    try use(count: 2048)
  }

  deinit { reader.slots.deallocate() }

  private var mask: Int { Int(mappings[mappings.count - 1].base.load(as: UInt64.self)) }

  /// Puts empty slots in the place of those there are.
  private mutating func use(count: Int) throws(Errno) {
    let mapping = try Mapping.map(size: Self.header + count * 16)
    mapping.preferLargePages()
    mapping.base.storeBytes(of: UInt64(count - 1), as: UInt64.self)
    mappings.append(mapping)
    used = 0
    reader.slots.pointee.store(UInt(bitPattern: mapping.base), ordering: .releasing)
  }

  @inline(__always)
  private static func place(_ key: UInt64, _ mask: Int) -> Int {
    Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) &>> 24) & mask
  }

  @inline(__always)
  private static func cell(_ slots: UInt, _ index: Int, _ half: UInt) -> UnsafeMutablePointer<Atomic<UInt64>>
  {
    let address = slots &+ UInt(header) &+ UInt(bitPattern: index) &* 16 &+ half &* 8
    return UnsafeMutablePointer(bitPattern: address).unsafelyUnwrapped
  }

  // MARK: - Writing

  /// Gives `key` a value, 0 to take it away. False when the host has no memory for more keys.
  package mutating func set(_ key: UInt64, to value: UInt64) -> Bool {
    if insert(key, value, isFull: used &+ used &>> 1 > mask) { return true }
    return grow() && insert(key, value, isFull: false)
  }

  /// False if the key is new and no more are wanted.
  private mutating func insert(_ key: UInt64, _ value: UInt64, isFull: Bool) -> Bool {
    let mask = mask
    let slots = UInt(bitPattern: mappings[mappings.count - 1].base)
    var index = Self.place(key, mask)
    while true {
      let known = Self.cell(slots, index, 0).pointee.load(ordering: .relaxed)
      if known == key || known == 0 {
        if known == 0, isFull { return false }
        Self.cell(slots, index, 1).pointee.store(value, ordering: .relaxed)
        if known == 0 {
          used += 1
          Self.cell(slots, index, 0).pointee.store(key, ordering: .releasing)
        }
        return true
      }
      index = (index &+ 1) & mask
    }
  }

  /// Moves everything into twice as many slots, or as many where most keys have no value.
  private mutating func grow() -> Bool {
    let old = mappings[mappings.count - 1]
    let count = mask + 1
    let slots = UInt(bitPattern: old.base)
    var live = 0
    for index in 0..<count where Self.cell(slots, index, 1).pointee.load(ordering: .relaxed) != 0 {
      live += 1
    }
    guard (try? use(count: live * 3 > count ? count * 2 : count)) != nil else { return false }
    for index in 0..<count {
      let value = Self.cell(slots, index, 1).pointee.load(ordering: .relaxed)
      guard value != 0 else { continue }
      _ = insert(Self.cell(slots, index, 0).pointee.load(ordering: .relaxed), value, isFull: false)
    }
    old.release(0..<old.size)
    return true
  }

  /// Takes all keys away; nobody may be reading.
  package mutating func removeAll() {
    let mapping = mappings[mappings.count - 1]
    let mask = mask
    mapping.release(0..<mapping.size)
    mapping.base.storeBytes(of: UInt64(mask), as: UInt64.self)
    mappings = [mapping]
    used = 0
  }
}

extension FlatTable.Reader {
  /// The value of a key, 0 if it has none.
  @inline(__always)
  package subscript(_ key: UInt64) -> UInt64 {
    let slots = slots.pointee.load(ordering: .acquiring)
    guard let base = UnsafeRawPointer(bitPattern: slots) else { return 0 }
    // Zero in slots that are no longer used, as are all of those.
    let mask = Int(truncatingIfNeeded: base.load(as: UInt64.self))
    var index = FlatTable.place(key, mask)
    while true {
      let known = FlatTable.cell(slots, index, 0).pointee.load(ordering: .acquiring)
      if known == key { return FlatTable.cell(slots, index, 1).pointee.load(ordering: .relaxed) }
      if known == 0 { return 0 }
      index = (index &+ 1) & mask
    }
  }
}
