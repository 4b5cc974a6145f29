internal import HostSystem

/// A network card whose frames the kernel moves. What is left here: its control queue, interrupts that nobody takes from
/// the kernel's counters, and the end of it all.
final class KernelNetworkSession: VirtioSession {
  /// What a watched counter means; the queue's number is added.
  private enum Token {
    static let used: UInt64 = 0
    static let failed: UInt64 = 2
  }

  private let kernel: KernelNetwork
  private let context: SessionContext
  private var isBroken = false

  init(_ kernel: KernelNetwork, context: SessionContext) {
    self.kernel = kernel
    self.context = context
  }

  private var queues: [LiveQueue] {
    (0..<VirtioNet.QueueIndex.control).compactMap { context.queue($0) }.filter(\.isLive)
  }

  func begin() throws(QueueError) {
    for queue in queues {
      let index = UInt64(queue.index)
      if let call = kernel.call(queue: queue.index) {
        context.watch(call.descriptor, for: .read, token: Token.used + index)
      }
      context.watch(kernel.failures[queue.index].descriptor, for: .read, token: Token.failed + index)
    }
    start()
  }

  private func start() {
    do throws(Errno) { try kernel.start(queues, features: context.features) } catch {
      isBroken = true
      return context.transport.needsReset("vhost-net cannot work on its queues: \(error)")
    }
    // Whether the driver has yet to be told of what was used is in no state; telling it once more does no harm.
    for queue in queues where queue.rings.position != 0 { kernel.call(queue: queue.index)?.signal() }
  }

  func rest() { kernel.stop() }

  func wake() {
    guard !isBroken else { return }
    for queue in queues { queue.takeOver() }
    start()
    // As for whoever begins: what was made available meanwhile.
    for queue in queues { kernel.kick(queue: queue.index)?.signal() }
  }

  func process(queue index: Int) throws(QueueError) {
    guard !isBroken else { return }
    // What was made available before the kernel began.
    if let kick = kernel.kick(queue: index) { return kick.signal() }
    if let queue = context.queue(index) { try NetworkControl.answer(queue, context) }
  }

  func ready(token: UInt64) throws(QueueError) {
    if token < Token.failed {
      let queue = Int(token - Token.used)
      // Whoever took the signal (irqfd) has interrupted the driver.
      if kernel.call(queue: queue)?.drain() == true { context.transport.raiseUsedBuffer(queue: queue) }
    } else if kernel.failures[Int(token - Token.failed)].drain(), !isBroken {
      isBroken = true
      kernel.stop()
      context.transport.needsReset("vhost-net found queue \(token - Token.failed) broken")
    }
  }

  func end() { kernel.stop() }
}
