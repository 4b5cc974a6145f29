/// Frames that wait until the guest reads, with a bound: what does not fit is dropped, as a wire would.
package struct FrameQueue {
  private var frames: [[UInt8]] = []
  /// Where the oldest frame is in `frames`; those before have been sent.
  private var head = 0
  private var byteCount = 0
  private let byteLimit: Int

  package init(byteLimit: Int) { self.byteLimit = byteLimit }

  package var isEmpty: Bool { head == frames.count }
  package var first: [UInt8]? { isEmpty ? nil : frames[head] }

  /// Adds a frame at the end; false when there was no room and it was dropped.
  @discardableResult
  package mutating func append(_ frame: UnsafeRawBufferPointer) -> Bool {
    guard byteCount + frame.count <= byteLimit else { return false }
    byteCount += frame.count
    frames.append(Array(frame))
    return true
  }

  package mutating func removeFirst() {
    byteCount -= frames[head].count
    frames[head] = []
    head += 1
    if head == frames.count || head >= 1024 {
      frames.removeFirst(head)
      head = 0
    }
  }
}
