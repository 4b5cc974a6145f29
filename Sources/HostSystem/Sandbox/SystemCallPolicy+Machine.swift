internal import CHost
internal import Glibc

extension SystemCallPolicy {
  /// What a machine process calls while guest code runs: input and output on descriptors it has,
  /// memory that is never executable, threads, timers, signals to itself. `deviceRequests` are those of
  /// ioctl(2) that it makes, on devices it has open; `listener` is the descriptor on which it accepts connections.
  package static func machine(
    defaultAction: Action, deviceRequests: [UInt32] = [], listener: Int32? = nil
  ) -> SystemCallPolicy {
    var policy = SystemCallPolicy(defaultAction: defaultAction)
    // In order of how often they come: a filter is read from its top at every call. Under KVM that is the one
    // which runs guest code.
    if !deviceRequests.isEmpty {
      policy.allow(
        "ioctl", ifAny: deviceRequests.map { .bits(argument: 1, mask: .max, value: $0) },
        otherwise: .refuse(Errno(ENOTTY)))
    }
    policy.allow(
      "futex", "epoll_wait", "epoll_pwait", "read", "write", "readv", "writev", "preadv", "pwritev")
    policy.allow("pread64", "pwrite64", "preadv2", "pwritev2", "timerfd_settime", "timerfd_gettime")
    policy.allow(
      "sendmsg", "recvmsg", "getsockopt", "sendto", "recvfrom", "sendmmsg", "recvmmsg", "poll", "ppoll")
    policy.allow(
      "fdatasync", "fsync", "fallocate", "ftruncate", "lseek", "fstat", "shutdown", "close", "dup",
      "dup3")
    policy.allow("epoll_ctl", "epoll_create1", "eventfd2", "timerfd_create")
    policy.allow("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday")
    policy.allow(
      "madvise", "munmap", "mremap", "brk", "memfd_create", "membarrier", "getrandom", "restart_syscall")
    policy.allow("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack")
    policy.allow("sched_yield", "sched_getaffinity", "sched_setaffinity", "getcpu", "getpid", "gettid")
    policy.allow("rseq", "set_robust_list", "getrusage", "sysinfo", "uname", "exit", "exit_group")
    allowMemoryThatIsNotCode(&policy)
    allowThreads(&policy)

    // The C library's fstat(3): an empty path, and a descriptor. What else could be named is outside
    // the namespace and out of Landlock's reach.
    policy.allow("newfstatat", ifAny: [.bits(argument: 3, mask: .max, value: 0x1000 /* AT_EMPTY_PATH */)])
    policy.allow(
      "fcntl",
      ifAny: [F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, lockOfDescription].map {
        .bits(argument: 1, mask: .max, value: UInt32($0))
      })
    if let listener {
      policy.allow("accept4", ifAny: [.bits(argument: 0, mask: .max, value: UInt32(bitPattern: listener))])
    }
    policy.allow("prlimit64", ifAny: [.null(argument: 2)], otherwise: .refuse(Errno(EPERM)))
    // Libraries ask whether a descriptor is a terminal, and where files of the system are; "no" will do.
    if deviceRequests.isEmpty { policy.refuse("ioctl", Errno(ENOTTY)) }
    policy.refuse("openat", Errno(EACCES))
    return policy
  }

  /// F_OFD_SETLK: a disk image is locked for as long as it is open.
  private static let lockOfDescription: Int32 = 37

  /// Memory may be mapped and protected anew, but not as code: the translator's cache was mapped before.
  private static func allowMemoryThatIsNotCode(_ policy: inout SystemCallPolicy) {
    for name in ["mmap", "mprotect", "pkey_mprotect"] {
      policy.allow(name, ifAny: [.bits(argument: 2, mask: UInt32(PROT_EXEC), value: 0)])
    }
  }

  /// Threads of this process, and signals among them; no processes.
  private static func allowThreads(_ policy: inout SystemCallPolicy) {
    // CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM, and any of SETTLS, PARENT_SETTID,
    // CHILD_CLEARTID, DETACHED, CHILD_SETTID; nothing else.
    let thread: UInt32 = 0x0005_0f00
    let bookkeeping: UInt32 = 0x0178_0000
    policy.allow("clone", ifAny: [.bits(argument: 0, mask: ~bookkeeping, value: thread)])
    // Its flags are behind a pointer, which a filter cannot follow. The C library falls back to clone.
    policy.refuse("clone3", Errno(ENOSYS))
    policy.allow("tgkill", ifAny: [.bits(argument: 0, mask: .max, value: UInt32(bitPattern: getpid()))])
    policy.allow(
      "prctl", ifAny: [.bits(argument: 0, mask: .max, value: UInt32(volary_pr_set_name))],
      otherwise: .refuse(Errno(EPERM)))
  }
}
