internal import Glibc
internal import HostSystem
internal import Synchronization

/// Enters the sandbox and tries one thing. Ends with 0 when that worked, with 100 when it was refused;
/// a kill shows as a signal. Ends with 1 when the sandbox itself could not be entered.
enum SandboxProbe {
  static func run(_ probe: String, refusing: Bool) -> Int32 {
    // What a machine's process has in hand before: descriptors and mappings.
    guard let file = try? Descriptor.memory(name: "probe"), (try? file.truncate(to: 4096)) != nil else {
      return 1
    }
    var options = Sandbox.Options()
    options.violation = refusing ? .refuse : .kill
    let path = "/tmp/volary-sandbox-probe-\(getpid())"
    guard let listener = try? UnixListener(path: path, .sequencedPacket),
      let other = try? UnixListener(path: path + "-other", .sequencedPacket)
    else { return 1 }
    let client = try? UnixSocket.connect(toPath: path, .sequencedPacket)
    // The sandbox has no way to the paths.
    for listener in [listener, other] { listener.remove() }
    if probe.hasPrefix("accept") && probe != "accept-unasked" { options.listener = listener.descriptor }
    do { try Sandbox.apply(options) } catch {
      print(error)
      return 1
    }
    return withExtendedLifetime((listener, other, client)) {
      switch probe {
      case "accept", "accept-unasked": (try? listener.accept()) != nil
      case "accept-other": (try? other.accept()) != nil
      default: attempt(probe, file)
      }
    } ? 0 : 100
  }

  private static func attempt(_ probe: String, _ file: Descriptor) -> Bool {
    switch probe {
    // MARK: Forbidden
    case "open": return open("/etc/passwd", O_RDONLY) >= 0
    case "create": return creat("/tmp/volary-sandbox-probe", 0o600) >= 0
    case "stat":
      var status = stat()
      return stat("/etc/passwd", &status) == 0
    case "socket": return socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0) >= 0
    case "exec":
      var arguments: [UnsafeMutablePointer<CChar>?] = [strdup("true"), nil]
      return execv("/bin/true", &arguments) == 0
    case "spawn":
      var pid: pid_t = 0
      return posix_spawn(&pid, "/bin/true", nil, nil, [strdup("true"), nil], nil) == 0
    case "mmap-exec":
      return mmap(nil, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED
    case "mmap-file-exec":
      return mmap(nil, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, file.raw, 0) != MAP_FAILED
    case "mprotect-exec":
      let page = mmap(nil, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      return mprotect(page, 4096, PROT_READ | PROT_EXEC) == 0
    case "kill-other": return kill(getppid(), 0) == 0
    case "setuid": return setuid(0) == 0
    case "chroot": return chroot("/") == 0
    case "raise-limit":
      var limit = rlimit(rlim_cur: 100_000, rlim_max: 100_000)
      return setrlimit(__rlimit_resource_t(7), &limit) == 0

    // MARK: Permitted
    case "memory":
      return mmap(nil, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED
        && [UInt8](repeating: 1, count: 8 << 20).count == 8 << 20
    case "files":
      var byte: UInt8 = 7
      return pwrite(file.raw, &byte, 1, 4095) == 1 && pread(file.raw, &byte, 1, 4095) == 1
        && (try? file.size()) == 4096 && fdatasync(file.raw) == 0
        && (try? file.truncate(to: 8192)) != nil
    case "threads": return threads()
    case "events":
      guard let counter = try? EventCounter(), let poller = try? Poller() else { return false }
      counter.signal()
      return (try? poller.add(counter.descriptor.raw, .read, token: 1)) != nil
        && (try? poller.wait(milliseconds: 1000).count) == 1
    case "time":
      usleep(1000)
      return monotonicNanoseconds() > 0 && realtimeNanoseconds() > 0
    case "output": return write(1, "hello\n", 6) == 6
    default: return false
    }
  }

  private static func threads() -> Bool {
    let done = Mutex(0)
    let threads = (0..<4).compactMap { number in
      try? HostSystem.Thread.start(name: "probe-\(number)") { done.withLock { $0 += 1 } }
    }
    threads.forEach { $0.join() }
    return done.withLock { $0 } == 4
  }
}
