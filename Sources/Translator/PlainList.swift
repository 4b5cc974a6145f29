internal import HostSystem

/// A growing list whose elements never move, so that readers on other threads need no lock for those that they
/// have been told of. Its memory is taken as it is used.
struct PlainList<Element: BitwiseCopyable>: ~Copyable {
  /// The elements.
  let elements: UnsafeMutablePointer<Element>
  private(set) var count = 0
  let capacity: Int
  private let mapping: Mapping

  init(capacity: Int) throws(Errno) {
    self.capacity = capacity
    let size = (capacity * MemoryLayout<Element>.stride + 4095) & ~4095
    mapping = try Mapping.map(size: size)
    elements = mapping.base.assumingMemoryBound(to: Element.self)
  }

  /// Whether there is room for `more` elements.
  @inline(__always) func hasRoom(for more: Int) -> Bool { count &+ more <= capacity }

  @inline(__always) subscript(_ index: Int) -> Element {
    get { elements[index] }
    nonmutating _modify { yield &elements[index] }
  }

  /// Where the next elements go; they count once ``grow(by:)`` says so.
  @inline(__always) var end: UnsafeMutablePointer<Element> { elements + count }

  @inline(__always) mutating func grow(by more: Int) { count &+= more }

  /// Appends an element, for which there must be room, and returns its place.
  @inline(__always) mutating func append(_ element: Element) -> Int {
    end.initialize(to: element)
    count &+= 1
    return count &- 1
  }

  /// Takes all elements away and gives their memory back.
  mutating func removeAll() {
    mapping.release(0..<mapping.size)
    count = 0
  }
}
