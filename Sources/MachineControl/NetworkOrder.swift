/// What a machine's process tells the one that plays its network, among the frames. It is shorter than any frame, so a
/// guest that sends the same says it of its own connections.
package enum NetworkOrder {
  /// The guest is another than it was: its connections end.
  package static let forget: [UInt8] = [0]
}
