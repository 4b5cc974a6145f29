import Testing

/// Engines against each other, and harts against what the architecture promises. One test after the other:
/// what they are about shows when a machine's threads have the host to themselves.
@Suite(.serialized) enum LockstepTests {}
