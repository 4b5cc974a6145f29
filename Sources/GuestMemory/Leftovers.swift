internal import HostSystem

/// What nobody needs any more, let go of by a thread of its own: closing the last descriptor of much memory, or of a
/// file that has no name any more, takes as long as it is large.
package final class Leftovers<Value>: @unchecked Sendable {  // one thread has the value
  private var value: Value?

  private init(_ value: consuming Value?) { self.value = value }

  /// Takes a value, which nobody else may hold.
  package static func drop(_ value: inout Value?) {
    guard value != nil else { return }
    let leftovers = Leftovers(value.take())
    // Without a thread it goes here and now.
    _ = try? Thread.start(name: "leftovers") { leftovers.value = nil }
  }
}
