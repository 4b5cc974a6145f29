/// What the fixed pieces of generated code count while a machine is profiled: 64-bit fields of each CPU's context,
/// from ``ContextLayout/profileCounters`` on. Without profiling nothing counts and nobody looks.
package enum ProfileCounter: Int32, CaseIterable, Sendable {
  /// Left at a block's end towards a block that was not known or not linked yet.
  case unlinkedExit
  /// Left at a computed jump that the view's jump cache did not know, or because of a request to leave.
  case unknownTarget
  /// Left at a loop's end or backward jump because of a request to leave.
  case request
  /// Left because a call-out said so: traps, system instructions.
  case redirection
  /// Returns that did not go to where the last call waits. They need not have left.
  case strayReturn

  /// The counter's displacement in a context.
  package var place: Int32 { ContextLayout.profileCounters + rawValue * 8 }
}
