import Foundation
import Glibc
import Synchronization

/// Clears up when the user or the system ends the program in the middle of something.
package struct Interruption {
  private let sources: [any DispatchSourceSignal]

  private static let tries = 100
  private static let pause: useconds_t = 20_000

  private static let isEnding = Atomic(false)

  /// On SIGINT, SIGTERM or SIGHUP: ends the running programs, calls `cleanUp` until it says that nothing
  /// is left (two seconds at most), and exits with 128 + signal.
  package static func watch(_ cleanUp: @escaping @Sendable () -> Bool) -> Interruption {
    let queue = DispatchQueue(label: "interruption")
    return Interruption(
      sources: [SIGINT, SIGTERM, SIGHUP].map { signal in
        // The default would end the program before the source sees the signal.
        Glibc.signal(signal, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: signal, queue: queue)
        source.setEventHandler {
          isEnding.store(true, ordering: .releasing)
          for _ in 0..<tries {
            ProcessTree.killDescendants()
            if cleanUp() { break }
            usleep(pause)
          }
          _exit(128 + signal)
        }
        source.resume()
        return source
      })
  }

  /// Called where a program has ended: does not return when it was ended on the way out, so that
  /// nobody reports a failure or clears up a second time.
  static func waitIfEnding() {
    while isEnding.load(ordering: .acquiring) { sleep(1) }
  }

  package func cancel() {
    sources.forEach { $0.cancel() }
    for signal in [SIGINT, SIGTERM, SIGHUP] { Glibc.signal(signal, SIG_DFL) }
  }
}
