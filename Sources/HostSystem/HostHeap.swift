internal import CHost

/// This process's own memory, as malloc(3) has it.
package enum HostHeap {
  /// Gives the host back what is not in use. Requests of many sizes on many threads leave holes that are never given
  /// back otherwise: a busy daemon would grow without having more to keep.
  package static func trim() { volary_trim_heap() }
}
