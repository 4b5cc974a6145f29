#define _GNU_SOURCE
#include "Sandbox.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline int result(long value) { return value < 0 ? -errno : (int)value; }

int volary_prctl(int option, unsigned long argument) { return result(prctl(option, argument, 0, 0, 0)); }

int volary_parent_death_signal(void) {
  int signal = 0;
  return prctl(PR_GET_PDEATHSIG, &signal, 0, 0, 0) < 0 ? 0 : signal;
}

int volary_drop_capabilities(void) {
  // The bounding set needs CAP_SETPCAP to shrink, so it goes first; without the right it is moot.
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++)
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) < 0) break;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];
  memset(none, 0, sizeof none);
  return result(syscall(SYS_capset, &header, none));
}

int volary_limit(int resource, uint64_t value) {
  struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
  return result(setrlimit(resource, &limit));
}

int volary_enter_empty_namespaces(void) {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0) return -errno;
  // An empty directory becomes the root; the old tree is detached from under it.
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("none", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=555") < 0 ||
      chdir("/tmp") < 0 || syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 ||
      mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
      chdir("/") < 0)
    return -errno;
  return 0;
}

// MARK: Landlock, by number: the kernel headers of the build host may be older than the kernel.

enum { nr_landlock_create_ruleset = 444, nr_landlock_restrict_self = 446 };

struct landlock_rules {
  uint64_t file_access;
  uint64_t network_access;  // since ABI 4
  uint64_t scoped;          // since ABI 6
};

int volary_landlock_abi(void) {
  return result(syscall(nr_landlock_create_ruleset, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */));
}

int volary_landlock_deny_all(int abi) {
  if (abi < 1) return -ENOSYS;
  // Each ABI knows a few more file rights: 13 at first, then refer, truncate and ioctl on devices.
  int rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
  struct landlock_rules rules = {
      .file_access = (UINT64_C(1) << rights) - 1,
      .network_access = abi >= 4 ? 3 : 0,  // bind and connect of TCP
      .scoped = abi >= 6 ? 3 : 0,          // abstract Unix sockets and signals to processes outside
  };
  size_t size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  int ruleset = (int)syscall(nr_landlock_create_ruleset, &rules, size, 0);
  if (ruleset < 0) return -errno;
  int outcome = result(syscall(nr_landlock_restrict_self, ruleset, 0));
  close(ruleset);
  return outcome;
}

// MARK: Seccomp

_Static_assert(sizeof(struct volary_bpf_instruction) == sizeof(struct sock_filter), "same layout");

int volary_seccomp_install(const struct volary_bpf_instruction *program, unsigned count) {
  if (count > BPF_MAXINSNS) return -EINVAL;
  struct sock_fprog filter = {.len = (unsigned short)count, .filter = (struct sock_filter *)program};
  long outcome = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
  if (outcome > 0) return -EAGAIN;  // a thread with a filter of its own could not follow
  return result(outcome);
}

uint32_t volary_audit_architecture(void) {
#if defined(__x86_64__)
  return AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
  return AUDIT_ARCH_AARCH64;
#elif defined(__riscv) && __riscv_xlen == 64
  return AUDIT_ARCH_RISCV64;
#else
#error "no audit architecture is known for this host"
#endif
}

static const struct {
  const char *name;
  int number;
} system_calls[] = {
#define CALL(name) {#name, SYS_##name}
    CALL(accept4), CALL(brk), CALL(clock_getres), CALL(clock_gettime), CALL(clock_nanosleep), CALL(clone), CALL(clone3),
    CALL(close), CALL(dup), CALL(dup3), CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_pwait), CALL(eventfd2),
    CALL(exit), CALL(exit_group), CALL(fallocate), CALL(fcntl), CALL(fdatasync), CALL(fstat), CALL(fsync),
    CALL(ftruncate), CALL(futex), CALL(getcpu), CALL(getpid), CALL(getrandom), CALL(getrusage), CALL(getsockopt), CALL(gettid),
    CALL(gettimeofday), CALL(ioctl), CALL(lseek), CALL(madvise), CALL(membarrier), CALL(memfd_create), CALL(mmap), CALL(mprotect),
    CALL(mremap), CALL(munmap), CALL(nanosleep), CALL(newfstatat), CALL(openat), CALL(pkey_mprotect), CALL(ppoll),
    CALL(prctl), CALL(pread64), CALL(preadv), CALL(preadv2), CALL(prlimit64), CALL(pwrite64), CALL(pwritev),
    CALL(pwritev2), CALL(read), CALL(readv), CALL(recvfrom), CALL(recvmsg), CALL(recvmmsg),
    CALL(restart_syscall), CALL(rseq), CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn),
    CALL(rt_sigtimedwait), CALL(sched_getaffinity), CALL(sched_setaffinity), CALL(sched_yield), CALL(sendmsg),
    CALL(sendmmsg), CALL(sendto), CALL(set_robust_list), CALL(shutdown), CALL(sigaltstack), CALL(sysinfo),
    CALL(tgkill), CALL(timerfd_create), CALL(timerfd_gettime), CALL(timerfd_settime), CALL(uname), CALL(write),
    CALL(writev),
#ifdef SYS_epoll_wait
    CALL(epoll_wait),
#else
    {"epoll_wait", -1},
#endif
#ifdef SYS_poll
    CALL(poll),
#else
    {"poll", -1},
#endif
#undef CALL
};

int volary_system_call_number(const char *name) {
  for (unsigned i = 0; i < sizeof system_calls / sizeof system_calls[0]; i++)
    if (strcmp(system_calls[i].name, name) == 0) return system_calls[i].number;
  return -2;
}
