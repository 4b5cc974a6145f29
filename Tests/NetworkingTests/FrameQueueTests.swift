import Networking
import Testing

@Suite struct FrameQueueTests {
  @Test func `order is kept and the bound holds`() {
    var queue = FrameQueue(byteLimit: 10_000)
    var model: [[UInt8]] = []
    var dropped = 0
    var state: UInt32 = 7
    for step in 0..<20_000 {
      state = state &* 1_664_525 &+ 1_013_904_223
      if state >> 31 == 0 || step % 4000 < 2000 {
        let frame = [UInt8](repeating: UInt8(truncatingIfNeeded: step), count: Int(state >> 8 % 600))
        let hasRoom = model.reduce(0) { $0 + $1.count } + frame.count <= 10_000
        #expect(frame.withUnsafeBytes { queue.append($0) } == hasRoom)
        if hasRoom { model.append(frame) } else { dropped += 1 }
      } else if let first = model.first {
        #expect(queue.first == first)
        model.removeFirst()
        queue.removeFirst()
      }
      #expect(queue.isEmpty == model.isEmpty)
    }
    #expect(dropped > 100)
  }
}
