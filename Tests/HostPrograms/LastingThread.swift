import Dispatch
import HostSystem
import Synchronization

/// A thread that goes on as long as the tests do. Programs that are to last are started in it: some, nbdkit among
/// them, ask to be ended with their parent, and the kernel takes the thread that started them for it
/// (PR_SET_PDEATHSIG, prctl(2)). Those of the tests' own pool come and go.
final class LastingThread: Sendable {
  static let shared = Result { try LastingThread() }

  private let jobs = Mutex<[@Sendable () -> Void]>([])
  private let news = DispatchSemaphore(value: 0)

  private init() throws {
    _ = try Thread.start(name: "lasting") { [self] in
      while true {
        news.wait()
        jobs.withLock { $0.removeFirst() }()
      }
    }
  }

  /// Runs `body` in the thread, and waits for what comes of it.
  func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) throws -> Value {
    let result = Mutex<Result<Value, any Error>>(.failure(CancellationError()))
    let done = DispatchSemaphore(value: 0)
    jobs.withLock {
      $0.append {
        let outcome = Result(catching: body)
        result.withLock { $0 = outcome }
        done.signal()
      }
    }
    news.signal()
    done.wait()
    return try result.withLock { $0 }.get()
  }
}
