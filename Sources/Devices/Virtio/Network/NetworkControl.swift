/// The control queue (§5.1.6.5), which says yes to what changes nothing: receive filters are accepted and everything is
/// delivered, which the specification allows, as a filter is a wish to be spared frames.
enum NetworkControl {
  static func answer(_ queue: LiveQueue, _ context: SessionContext) throws(QueueError) {
    defer { context.signal(queue) }
    repeat {
      queue.suppressNotifications()
      while var chain = try queue.next() {
        let kind = chain.reader.load(UInt8.self)
        let command = chain.reader.load(UInt8.self)
        let isFilter =
          switch (kind, command) {
          case (0, 0), (0, 1): chain.reader.remaining >= 1  // promiscuous, all multicast
          case (1, 0): chain.reader.remaining >= 8  // the tables of addresses
          default: false
          }
        chain.writer.store(UInt8(isFilter ? 0 : 1))
        let written = chain.writer.written
        queue.complete(chain, written: written)
        if context.isWanted { return context.reschedule(queue) }
      }
    } while queue.allowNotifications()
  }
}
