import Foundation
import Glibc

/// Clears up when the user or the system ends the program in the middle of something.
struct Interruption {
  private let sources: [any DispatchSourceSignal]

  /// On SIGINT, SIGTERM or SIGHUP: ends the running tool, calls `cleanUp`, and exits with 128 + signal.
  static func watch(_ cleanUp: @escaping @Sendable () -> Void) -> Interruption {
    let queue = DispatchQueue(label: "interruption")
    return Interruption(
      sources: [SIGINT, SIGTERM, SIGHUP].map { signal in
        // The default would end the program before the source sees the signal.
        Glibc.signal(signal, SIG_IGN)
        let source = DispatchSource.makeSignalSource(signal: signal, queue: queue)
        source.setEventHandler {
          HostTool.endRunning()
          cleanUp()
          _exit(128 + signal)
        }
        source.resume()
        return source
      })
  }

  func cancel() {
    sources.forEach { $0.cancel() }
    for signal in [SIGINT, SIGTERM, SIGHUP] { Glibc.signal(signal, SIG_DFL) }
  }
}
