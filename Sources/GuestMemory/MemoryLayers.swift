internal import CHost
internal import Glibc
internal import HostSystem
internal import Synchronization

/// A guest's memory while parts of it are shown from files that are never written again: copy-on-write.
///
/// Memory is one range of this process's addresses, in *chunks*. A chunk that is the machine's own is shown from the
/// memory file, to be read and written; any other from a frozen file, to be read. Before such a chunk is written for
/// the first time it is copied into the memory file, which then shows it at the same address. So whoever holds an
/// address for reading keeps it, and frozen files may be shown in any number of machines.
///
/// Whoever maps the memory file at other addresses (windows do) has a chunk become the machine's own before that.
final class MemoryLayers: @unchecked Sendable {  // atomic or locked, but for what never changes
  private static let mostChunks = 1 << 18
  private static let leastChunkShift = 16
  /// Each chunk may be a mapping of its own between two others, and the kernel admits 65,530 a process, windows'
  /// included: when so many chunks have become own one by one, others do in groups, of which there are at most as many
  /// as the second number says.
  private static let mostSingly = 12_000
  private static let mostGroups = 4096
  /// Bytes from which on memory that the guest forgets is taken out of a mapping.
  private static let leastHole = 1 << 21

  private struct State: Sendable {
    var files: [Descriptor] = []
    /// For chunks that are not own, the place of their file in `files`.
    var sources: [UInt8]
  }

  let chunkShift: Int
  private let copying: GuestMemory.Copying
  private let mapping: Mapping
  private let size: Int
  /// The memory file. Its number stays when another file takes its place.
  private let file: Descriptor
  private let ownershipMapping: Mapping
  /// One for each chunk of the machine's own; set by who holds `state`.
  private let ownership: UnsafeMutablePointer<Atomic<UInt8>>
  private let state: Mutex<State>
  /// How many times chunks have become own since memory was frozen.
  private let ownings = Atomic(0)
  /// log2 of the chunks in a group.
  private let groupShift: Int

  private var chunkCount: Int { (size + (1 << chunkShift) - 1) >> chunkShift }

  /// All of `file`, of `size` bytes and shown at `mapping`, is the machine's own.
  init(mapping: Mapping, size: Int, file: Descriptor, copying: GuestMemory.Copying) throws(Errno) {
    self.mapping = mapping
    self.size = size
    self.file = file
    self.copying = copying
    var shift = Self.leastChunkShift
    while size >> shift > Self.mostChunks { shift += 1 }
    chunkShift = shift
    let count = (size + (1 << shift) - 1) >> shift
    var group = 0
    while count >> group > Self.mostGroups { group += 1 }
    groupShift = group
    ownershipMapping = try Mapping.map(size: (count + 4095) & ~4095)
    ownership = ownershipMapping.base.assumingMemoryBound(to: Atomic<UInt8>.self)
    for chunk in 0..<count { ownership[chunk].store(1, ordering: .relaxed) }
    state = Mutex(State(sources: [UInt8](repeating: 0, count: count)))
  }

  private func bytes(of chunk: Int) -> Range<Int> {
    chunk << chunkShift..<min(size, (chunk + 1) << chunkShift)
  }

  private func isOwn(_ chunk: Int) -> Bool { ownership[chunk].load(ordering: .acquiring) != 0 }

  // MARK: - Becoming the machine's own

  /// Has all chunks of a range of the memory file be the machine's own. With `keepingContent` false those that lie in
  /// the range as a whole read as zero afterwards.
  func own(_ range: Range<Int>, keepingContent: Bool = true) {
    guard copying == .byRequest, !range.isEmpty else { return }
    for chunk in range.lowerBound >> chunkShift...(range.upperBound - 1) >> chunkShift where !isOwn(chunk) {
      state.withLock { state in
        guard !isOwn(chunk) else { return }
        let isKept = { (part: Range<Int>) in
          keepingContent || !(range.lowerBound <= part.lowerBound && part.upperBound <= range.upperBound)
        }
        if ownings.wrappingAdd(1, ordering: .relaxed).newValue <= Self.mostSingly {
          return take(chunk..<chunk + 1, state, isKept)
        }
        let first = (chunk >> groupShift) << groupShift
        take(first..<min(chunkCount, first + (1 << groupShift)), state, isKept)
      }
    }
  }

  /// Copies those of some chunks that are not own, and shows all of them from the memory file, by one mapping.
  private func take(_ chunks: Range<Int>, _ state: State, _ isKept: (Range<Int>) -> Bool) {
    do throws(Errno) {
      for chunk in chunks where !isOwn(chunk) && isKept(bytes(of: chunk)) {
        try copy(bytes(of: chunk), from: state.files[Int(state.sources[chunk])])
      }
      try show(
        bytes(of: chunks.lowerBound).lowerBound..<bytes(of: chunks.upperBound - 1).upperBound, file,
        PROT_READ | PROT_WRITE, MAP_SHARED)
    } catch { Self.giveUp(error) }
    for chunk in chunks { ownership[chunk].store(1, ordering: .releasing) }
  }

  /// Has memory that the kernel copies read as zero; the pages that it has copied so far are the host's again.
  func forget(_ range: Range<Int>) -> Errno? {
    let start = mapping.base + range.lowerBound
    // Each hole cuts a mapping in two, of which the kernel has a limited number.
    if range.count < Self.leastHole {
      memset(start, 0, range.count)
      return nil
    }
    let place = mmap(
      start, range.count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
      0)
    return place == MAP_FAILED ? Errno(errno) : nil
  }

  /// Copies what a frozen file holds of a range, and leaves its holes, into the memory file.
  private func copy(_ range: Range<Int>, from source: Descriptor) throws(Errno) {
    var place = Int64(range.lowerBound)
    while place < Int64(range.upperBound) {
      let data = volary_seek_data(source.raw, place)
      if data == -Int64(ENXIO) || data >= Int64(range.upperBound) { return }
      let start = Int(try check(Int(data)))
      let hole = try check(Int(volary_seek_hole(source.raw, Int64(start))))
      let end = min(range.upperBound, hole)
      try write(start..<end)
      place = Int64(end)
    }
  }

  /// Writes what memory shows of a range into the memory file.
  private func write(_ range: Range<Int>) throws(Errno) {
    var done = range.lowerBound
    while done < range.upperBound {
      done += try retrying { pwrite(file.raw, mapping.base + done, range.upperBound - done, done) }
    }
  }

  private func show(
    _ range: Range<Int>, _ file: Descriptor, _ protection: Int32, _ sharing: Int32
  ) throws(Errno) {
    let place = mmap(
      mapping.base + range.lowerBound, range.count, protection, sharing | MAP_FIXED | MAP_NORESERVE, file.raw,
      range.lowerBound)
    guard place != MAP_FAILED else { throw Errno(errno) }
  }

  /// A guest that the host has no memory for cannot go on, and nothing it did can be undone.
  private static func giveUp(_ error: Errno) -> Never {
    fatalError("volary-machine: the host has no memory for the guest's: \(error)")
  }

  // MARK: - Freezing

  /// Freezes what memory holds: from now on it is shown from files that nobody writes again. Nobody may write memory
  /// meanwhile, and whoever has the memory file mapped elsewhere must have forgotten that.
  func freeze() throws(Errno) -> GuestMemory.Layers {
    try state.withLock { state throws(Errno) in
      let own = (0..<chunkCount).filter(isOwn)
      if copying == .byKernel {
        try freezeForKernel(&state, isFirst: own.count == chunkCount)
      } else if !own.isEmpty {
        if state.files.count == GuestMemory.Layers.most { try flatten(&state) }
        let frozen = try replaceFile()
        for chunk in 0..<chunkCount where isOwn(chunk) {
          state.sources[chunk] = UInt8(state.files.count)
          ownership[chunk].store(0, ordering: .releasing)
        }
        state.files.append(frozen)
        ownings.store(0, ordering: .relaxed)
        try drop(unused: &state)
        guard mprotect(mapping.base, size, PROT_READ) == 0 else { throw Errno(errno) }
      }
      return GuestMemory.Layers(files: state.files, chunkShift: chunkShift, sources: state.sources)
    }
  }

  /// Puts an empty file in the place of the memory file, which is returned under another number.
  private func replaceFile() throws(Errno) -> Descriptor {
    let new = try Descriptor.memory(name: "guest-memory")
    try new.truncate(to: Int64(size))
    let frozen = Descriptor(owning: try check(dup(file.raw)))
    try check(volary_replace_descriptor(new.raw, file.raw))
    return frozen
  }

  /// Copies all that is shown from frozen files into the memory file, so that the next is the only one.
  private func flatten(_ state: inout State) throws(Errno) {
    for chunk in 0..<chunkCount where !isOwn(chunk) {
      try copy(bytes(of: chunk), from: state.files[Int(state.sources[chunk])])
      ownership[chunk].store(1, ordering: .releasing)
    }
    state.files = []
    try show(0..<size, file, PROT_READ, MAP_SHARED)
  }

  /// Lets go of files of which nothing is shown any more.
  private func drop(unused state: inout State) throws(Errno) {
    var isUsed = [Bool](repeating: false, count: state.files.count)
    for chunk in 0..<chunkCount { isUsed[Int(state.sources[chunk])] = true }
    guard isUsed.contains(false) else { return }
    var places = [UInt8](repeating: 0, count: state.files.count)
    var kept: [Descriptor] = []
    for (place, file) in state.files.enumerated() where isUsed[place] {
      places[place] = UInt8(kept.count)
      kept.append(file)
    }
    state.files = kept
    for chunk in 0..<chunkCount { state.sources[chunk] = places[Int(state.sources[chunk])] }
  }

  /// The kernel copies pages, and tells nobody which: all that is there goes into one file anew, but for the first
  /// time, when it is in the memory file.
  private func freezeForKernel(_ state: inout State, isFirst: Bool) throws(Errno) {
    let frozen: Descriptor
    if isFirst {
      frozen = try replaceFile()
    } else {
      try file.truncate(to: 0)
      try file.truncate(to: Int64(size))
      let piece = 1 << 16
      for start in stride(from: 0, to: size, by: piece) {
        let range = start..<min(size, start + piece)
        let content = UnsafeRawBufferPointer(start: mapping.base + start, count: range.count)
        if !content.isZero { try write(range) }
      }
      frozen = try replaceFile()
    }
    for chunk in 0..<chunkCount {
      ownership[chunk].store(0, ordering: .releasing)
      state.sources[chunk] = 0
    }
    state.files = [frozen]
    try show(0..<size, frozen, PROT_READ | PROT_WRITE, MAP_PRIVATE)
  }

  // MARK: - Going on

  /// Shows what frozen files hold in place of what memory holds. Throws `EINVAL` when they do not fit. Returns the files
  /// of what memory held, if it held anything.
  func adopt(_ layers: GuestMemory.Layers) throws(Errno) -> [Descriptor]? {
    guard layers.chunkShift == chunkShift, layers.sources.count == chunkCount,
      (1...GuestMemory.Layers.most).contains(layers.files.count),
      layers.sources.allSatisfy({ $0 < layers.files.count })
    else { throw .invalid }
    for file in layers.files where try file.size() != Int64(size) { throw .invalid }
    return try state.withLock { state throws(Errno) in
      // What is copied into the memory file leaves the holes of what it comes from: nothing may show through them.
      var former = state.files
      if try file.storedBytes() > 0 { former.append(try replaceFile()) }
      let access = copying == .byKernel ? PROT_READ | PROT_WRITE : PROT_READ
      var first = 0
      while first < chunkCount {
        var end = first + 1
        while end < chunkCount, layers.sources[end] == layers.sources[first] { end += 1 }
        try show(
          bytes(of: first).lowerBound..<bytes(of: end - 1).upperBound,
          layers.files[Int(layers.sources[first])],
          access, copying == .byKernel ? MAP_PRIVATE : MAP_SHARED)
        first = end
      }
      state.files = layers.files
      state.sources = layers.sources
      for chunk in 0..<chunkCount { ownership[chunk].store(0, ordering: .releasing) }
      ownings.store(0, ordering: .relaxed)
      return former.isEmpty ? nil : former
    }
  }
}

extension UnsafeRawBufferPointer {
  /// Whether all bytes are zero.
  fileprivate var isZero: Bool {
    guard let base = baseAddress, let first else { return true }
    return first == 0 && memcmp(base, base + 1, count - 1) == 0
  }
}
