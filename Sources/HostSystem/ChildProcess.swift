internal import CHost
internal import Glibc

/// A program that this process runs: in a session of its own, with the descriptors it is given and no
/// other. Unless it is to outlive us it is killed when the thread that started it ends, so that even a
/// killed parent leaves nothing behind.
package final class ChildProcess: @unchecked Sendable {  // `exit`: its owner alone reaps
  /// How a process ended.
  package enum Exit: Equatable, Sendable, CustomStringConvertible {
    /// It called exit(3).
    case code(Int32)
    /// A signal killed it.
    case signal(Int32)

    package var description: String {
      switch self {
      case .code(let code): "ended with code \(code)"
      case .signal(let number):
        "was killed by signal \(number) (\(String(cString: strsignal(number))))"
      }
    }
  }

  package let identifier: Int32
  /// Becomes readable when the process has ended.
  package let descriptor: Descriptor
  /// How it ended, once ``reap()`` has seen it.
  package private(set) var exit: Exit?
  /// Whether it goes on when this process, or this object, is gone.
  private let outlivesStarter: Bool

  /// Starts `path` with the arguments (the first is the program's name) and descriptors 0, 1, 2 … as
  /// listed. The environment is this process's unless one is given as `NAME=value` strings, and so is the folder
  /// that it works in. One that `outlivesStarter` goes on when this object goes; until then it is this process's
  /// to reap.
  package init(
    path: String, arguments: [String], descriptors: [Descriptor], environment: [String]? = nil,
    folder: String? = nil, outlivesStarter: Bool = false
  ) throws(Errno) {
    self.outlivesStarter = outlivesStarter
    let argumentVector = CStringVector(arguments)
    let environmentVector = environment.map { CStringVector($0) }
    let fds = descriptors.map(\.raw)
    identifier = try withExtendedLifetime((descriptors, argumentVector, environmentVector)) {
      () throws(Errno) in
      try check(
        volary_spawn(
          path, argumentVector.pointers, environmentVector?.pointers ?? environ, folder, fds,
          Int32(fds.count), outlivesStarter))
    }
    let pidfd = volary_pidfd_open(identifier)
    if pidfd < 0 {
      Glibc.kill(identifier, SIGKILL)
      waitpid(identifier, nil, 0)
      throw Errno(-pidfd)
    }
    descriptor = Descriptor(owning: pidfd)
  }

  deinit { if !outlivesStarter { terminate() } }

  /// How the process ended, or nil while it runs. Never blocks.
  @discardableResult
  package func reap() -> Exit? {
    if let exit { return exit }
    var status: Int32 = 0
    guard volary_reap(identifier, &status) == 1 else { return nil }
    let signal = status & 0x7f
    exit = signal == 0 ? .code((status >> 8) & 0xff) : .signal(signal)
    return exit
  }

  /// Waits up to `milliseconds` (-1: for ever) for the end.
  package func wait(milliseconds: Int32 = -1) -> Exit? {
    if let exit { return exit }
    var entry = pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0)
    _ = try? retrying { Int(poll(&entry, 1, milliseconds)) }
    return reap()
  }

  /// Kills the process, if it still runs, and reaps it.
  package func terminate() {
    if reap() != nil { return }
    Glibc.kill(identifier, SIGKILL)
    _ = wait()
  }
}

/// A null-terminated vector of C strings, as execve(2) wants them.
private final class CStringVector {
  let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
  private let count: Int

  init(_ strings: [String]) {
    count = strings.count
    pointers = .allocate(capacity: strings.count + 1)
    for (index, string) in strings.enumerated() { (pointers + index).initialize(to: strdup(string)) }
    (pointers + strings.count).initialize(to: nil)
  }

  deinit {
    for index in 0..<count { free(pointers[index]) }
    pointers.deallocate()
  }
}
