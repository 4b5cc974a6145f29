package import HostSystem

/// What is known of translated code while a machine is profiled: how often each block runs, what it was made of
/// and what became of it, how long translating took.
///
/// Instructions are counted by an increment at each block's entry and behind each of its branches, in an array of
/// each CPU's own. That is exact, but for what a trap leaves out.
package final class TranslationProfile: @unchecked Sendable {  // under its code store's lock
  /// Where a block's parts begin.
  package struct Mark: BitwiseCopyable, Sendable {
    /// Bytes from the block's start: of guest code, and of generated code.
    package var guest: Int32
    package var host: Int32
  }

  /// A block as it was translated.
  struct Record {
    var address: UInt64
    /// The block's key and its mode.
    var key: UInt64
    var instructions: Int
    /// The number of its first counter, nil if it has none, and how many instructions each of them stands for.
    var firstCounter: Int?
    var counted: Range<Int>
    /// Where its code is in the arena, and where in that the cold code begins.
    var code: Range<Int>
    var cold: Int
    var guest: Range<Int>
    var marks: Range<Int>
  }

  /// Whether blocks count their executions, or are only described.
  package let countsExecutions: Bool
  /// Counters that there can be at a time; what is beyond does not count.
  private let capacity: Int
  private var nextCounter = 0
  private let perfMap: PerfMap?
  /// What a block is called in the perf map, by its address and its key with the mode.
  private let name: @Sendable (UInt64, UInt64) -> String

  private var records: [Record] = []
  private var guestBytes: [UInt8] = []
  private var marks: [Mark] = []
  private var counted: [Int32] = []
  private var counters: [Mapping] = []
  /// What was counted and described before the arena was emptied.
  private var earlier: [ProfiledBlock.Identity: ProfiledBlock] = [:]

  /// Nanoseconds that translating took.
  package private(set) var translationTime: UInt64 = 0

  /// `arenaSize` is the code store's.
  package init(
    arenaSize: Int, countsExecutions: Bool = true, perfMap: PerfMap? = nil,
    name: @escaping @Sendable (UInt64, UInt64) -> String = { address, _ in "0x" + String(address, radix: 16) }
  ) {
    self.countsExecutions = countsExecutions
    self.perfMap = perfMap
    self.name = name
    // Hardly a piece of code between two branches is smaller.
    capacity = arenaSize / 16
  }

  // MARK: - Counting

  /// Gives a CPU's context an array of its own to count in. Before the CPU runs translated code.
  package func attach(_ context: Context) throws(Errno) {
    let mapping = try Mapping.map(size: capacity * 8)
    counters.append(mapping)
    context.word(ContextLayout.blockCounters).pointee = UInt64(UInt(bitPattern: mapping.base))
  }

  /// What the code generator needs for the next block.
  var nextBlock: BlockMarks {
    // A block has a counter for each instruction at most, and one more.
    let hasRoom = countsExecutions && nextCounter < capacity - 1024
    return BlockMarks(firstCounter: hasRoom ? nextCounter : nil, began: monotonicNanoseconds())
  }

  private func count(_ counter: Int) -> UInt64 {
    counters.reduce(0) { $0 &+ $1.base.load(fromByteOffset: counter * 8, as: UInt64.self) }
  }

  /// How often a block was entered, and how many of its instructions were executed.
  private func executions(of record: Record) -> (entries: UInt64, instructions: UInt64) {
    guard let first = record.firstCounter else { return (0, 0) }
    var instructions: UInt64 = 0
    for (index, place) in record.counted.enumerated() {
      instructions &+= count(first + index) &* UInt64(counted[place])
    }
    return (count(first), instructions)
  }

  // MARK: - Describing

  /// A block was translated, from guest code on the page at the host address `page` (nil where it is on two),
  /// to `code` of the arena.
  func add(
    address: UInt64, key: UInt64, code: Range<Int>, marks made: BlockMarks, page: UnsafeRawPointer?,
    arena: UnsafeRawPointer
  ) {
    let firstByte = guestBytes.count
    if let page {
      let length = min(Int(made.guestLength), 4096 - Int(address & 0xFFF))
      guestBytes.append(contentsOf: UnsafeRawBufferPointer(start: page + Int(address & 0xFFF), count: length))
    }
    let firstMark = marks.count
    marks.append(contentsOf: made.marks)
    let firstCounted = counted.count
    let starts = made.segments.map(Int.init) + [made.marks.count]
    for (start, end) in zip(starts, starts.dropFirst()) { counted.append(Int32(end - start)) }
    if made.firstCounter != nil { nextCounter += made.segments.count }
    records.append(
      Record(
        address: address, key: key, instructions: made.marks.count, firstCounter: made.firstCounter,
        counted: firstCounted..<counted.count, code: code, cold: made.cold,
        guest: firstByte..<guestBytes.count, marks: firstMark..<marks.count))
    perfMap?.add(address: arena + code.lowerBound, size: code.count, name: name(address, key))
    translationTime &+= monotonicNanoseconds() &- made.began
  }

  /// All blocks are dropped; no CPU is in any. What they were is kept of the hottest only.
  func emptied(arena: UnsafeRawPointer, describe: (Int) -> String?) {
    earlier = merged(arena: arena, listings: Self.kept, describe: describe)
    records.removeAll()
    guestBytes.removeAll()
    marks.removeAll()
    counted.removeAll()
    nextCounter = 0
    for mapping in counters {
      mapping.base.initializeMemory(as: UInt8.self, repeating: 0, count: mapping.size)
    }
    perfMap?.restart()
  }

  /// Blocks whose code is kept when the arena is emptied.
  private static let kept = 64

  /// All blocks, the hottest first; `listings` of them with their code.
  func blocks(arena: UnsafeRawPointer, listings: Int, describe: (Int) -> String?) -> [ProfiledBlock] {
    merged(arena: arena, listings: listings, describe: describe).values.sorted {
      $0.executedInstructions != $1.executedInstructions
        ? $0.executedInstructions > $1.executedInstructions : $0.identity < $1.identity
    }
  }

  private func merged(
    arena: UnsafeRawPointer, listings: Int, describe: (Int) -> String?
  ) -> [ProfiledBlock.Identity: ProfiledBlock] {
    var all = earlier
    var last: [ProfiledBlock.Identity: Int] = [:]
    for (number, record) in records.enumerated() {
      let identity = ProfiledBlock.Identity(
        address: record.address, key: record.key, code: Self.hash(guestBytes[record.guest]))
      var block =
        all[identity] ?? ProfiledBlock(identity: identity, instructions: record.instructions)
      let (entries, instructions) = executions(of: record)
      block.executions &+= entries
      block.executedInstructions &+= instructions
      block.translations += 1
      block.codeBytes = record.code.count
      all[identity] = block
      last[identity] = number
    }
    for block in all.values.sorted(by: { $0.executedInstructions > $1.executedInstructions }).prefix(listings)
    {
      guard let number = last[block.identity] else { continue }
      let record = records[number]
      all[block.identity]?.listing = BlockListing(
        guest: Array(guestBytes[record.guest]), marks: Array(marks[record.marks]), cold: record.cold,
        code: UnsafeRawBufferPointer(start: arena + record.code.lowerBound, count: record.code.count),
        describe: { describe(record.code.lowerBound + $0) })
    }
    return all
  }

  private static func hash(_ bytes: ArraySlice<UInt8>) -> UInt64 {
    bytes.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
  }

  /// Writes out what the perf map holds back.
  package func flush() { perfMap?.flush() }

  /// Names a fixed piece of code in the perf map.
  func addFixed(_ name: String, address: UnsafeRawPointer, size: Int) {
    perfMap?.addFixed(address: address, size: size, name: name)
  }
}

/// What the code generator notes about a block while it makes it.
struct BlockMarks {
  /// The number of the block's first counter, nil if it does not count.
  var firstCounter: Int?
  /// Which instruction each of its counters begins with.
  var segments: [Int32] = []
  /// When its translation began.
  var began: UInt64
  var marks: [TranslationProfile.Mark] = []
  var guestLength: Int32 = 0
  /// Where the cold code begins, from the block's entry.
  var cold = 0
}
