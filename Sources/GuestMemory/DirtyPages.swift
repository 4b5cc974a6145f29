/// A set of pages of a machine's RAM, by their numbers in the memory file.
package struct DirtyPages: Equatable, Sendable {
  /// A bit for each page, the lowest first; bits behind the last page are zero.
  package private(set) var words: [UInt64]
  /// Pages that RAM has.
  package let pageCount: Int

  /// No pages of so many.
  package init(of pageCount: Int) {
    self.pageCount = pageCount
    words = [UInt64](repeating: 0, count: (pageCount + 63) / 64)
  }

  /// How many pages are in the set.
  package var count: Int { words.reduce(0) { $0 + $1.nonzeroBitCount } }
  package var isEmpty: Bool { words.allSatisfy { $0 == 0 } }

  package func contains(_ page: Int) -> Bool {
    page >= 0 && page < pageCount && words[page >> 6] & 1 << UInt64(page & 63) != 0
  }

  package mutating func insert(_ page: Int) {
    precondition(page >= 0 && page < pageCount)
    words[page >> 6] |= 1 << UInt64(page & 63)
  }

  package mutating func formUnion(_ other: DirtyPages) {
    precondition(pageCount == other.pageCount)
    for index in words.indices { words[index] |= other.words[index] }
  }

  /// The pages in ascending order, as runs that are as long as can be: what is to be copied at once.
  package var ranges: [Range<Int>] {
    var ranges: [Range<Int>] = []
    for (index, word) in words.enumerated() {
      var rest = word
      while rest != 0 {
        let first = rest.trailingZeroBitCount
        let length = (~(rest >> UInt64(first))).trailingZeroBitCount
        let range = 64 * index + first..<64 * index + first + length
        if let last = ranges.last, last.upperBound == range.lowerBound {
          ranges[ranges.count - 1] = last.lowerBound..<range.upperBound
        } else {
          ranges.append(range)
        }
        rest = first + length < 64 ? rest & (.max << UInt64(first + length)) : 0
      }
    }
    return ranges
  }
}
