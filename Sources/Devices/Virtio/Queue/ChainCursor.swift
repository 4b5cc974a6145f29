internal import GuestMemory

/// A place in a list of slices, moving forward.
struct ChainCursor {
  private let slices: [GuestSlice]
  private var index = 0
  private var offset = 0
  /// Bytes from here to the end.
  private(set) var remaining: Int

  init(_ slices: [GuestSlice], count: Int) {
    self.slices = slices
    remaining = count
  }

  /// Calls `body` with each contiguous part of the next `count` bytes, or what there is of them,
  /// and how many bytes came before it; moves past them and returns how many they were.
  @discardableResult
  mutating func advance(_ count: Int, _ body: (GuestSlice, Int) -> Void = { _, _ in }) -> Int {
    let wanted = max(0, min(count, remaining))
    var done = 0
    while done < wanted {
      let slice = slices[index]
      let step = min(slice.count - offset, wanted - done)
      if step > 0 { body(slice.part(offset..<offset + step), done) }
      done += step
      offset += step
      if offset == slice.count {
        index += 1
        offset = 0
      }
    }
    remaining -= wanted
    return wanted
  }

  /// The next `count` bytes, if they are all in one part.
  func part(_ count: Int) -> GuestSlice? {
    guard count > 0, index < slices.count else { return nil }
    let slice = slices[index]
    return slice.count - offset >= count ? slice.part(offset..<offset + count) : nil
  }

  /// The contiguous parts of the next `count` bytes, or of what there is of them.
  func parts(_ count: Int) -> [GuestSlice] {
    var parts: [GuestSlice] = []
    parts.reserveCapacity(slices.count - index)
    var ahead = self
    ahead.advance(count) { part, _ in parts.append(part) }
    return parts
  }
}
