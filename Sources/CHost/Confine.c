#define _GNU_SOURCE
#include "CHostConfine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result(long value) { return value < 0 ? -errno : 0; }

int volary_forbid_new_rights(void) {
  struct rlimit none = {0, 0};
  if (setrlimit(RLIMIT_CORE, &none) < 0) return -errno;
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) return -errno;
  return result(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

int volary_become_nobody(void) {
  enum { nobody = 65534 };
  // The bounding set goes first: it takes a capability to shrink it.
  for (int capability = 0; capability <= 63; capability++) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
  // A user namespace may lack the user nobody; then the capabilities below are all there is to drop.
  if (geteuid() == 0 && setgroups(0, NULL) == 0 && setresgid(nobody, nobody, nobody) == 0 &&
      setresuid(nobody, nobody, nobody) < 0 && errno != EINVAL)
    return -errno;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct none[2] = {0};
  return result(syscall(SYS_capset, &header, none));
}

int volary_limit_descriptors(unsigned long most) {
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -errno;
  if (limit.rlim_max > most) limit.rlim_max = most;
  limit.rlim_cur = limit.rlim_max;
  return result(setrlimit(RLIMIT_NOFILE, &limit));
}

#if defined(__x86_64__)
static const uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
static const uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
#error "no system-call filter for this architecture"
#endif

static const uint32_t forbidden[] = {
    SYS_execve, SYS_execveat, SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_pidfd_getfd,
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare, SYS_open_tree,
    SYS_move_mount, SYS_fsopen, SYS_fsmount, SYS_open_by_handle_at, SYS_bpf, SYS_perf_event_open,
    SYS_userfaultfd, SYS_io_uring_setup, SYS_kexec_load, SYS_init_module, SYS_finit_module,
    SYS_delete_module, SYS_reboot, SYS_add_key, SYS_request_key, SYS_keyctl, SYS_personality,
    SYS_memfd_create, SYS_mknodat, SYS_mkdirat, SYS_unlinkat, SYS_renameat2, SYS_linkat, SYS_symlinkat,
    SYS_fchmod, SYS_fchmodat, SYS_fchownat, SYS_fchown, SYS_truncate, SYS_setxattr, SYS_lsetxattr,
    SYS_fsetxattr, SYS_utimensat, SYS_openat2,
#ifdef __x86_64__
    SYS_fork, SYS_vfork, SYS_mknod, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_renameat, SYS_link,
    SYS_symlink, SYS_chmod, SYS_chown, SYS_lchown, SYS_creat, SYS_utime, SYS_utimes, SYS_futimesat,
#endif
};

enum { forbidden_count = sizeof forbidden / sizeof *forbidden };

int volary_filter_network_helper(void) {
  struct sock_filter code[forbidden_count + 24];
  unsigned short count = 0;
  const uint32_t forbid = SECCOMP_RET_ERRNO | EPERM;
#define EMIT(...) code[count++] = (struct sock_filter)__VA_ARGS__
#define LOAD(field) EMIT(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field)))
#define RETURN(value) EMIT(BPF_STMT(BPF_RET | BPF_K, value))
  LOAD(arch);
  EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0));
  RETURN(SECCOMP_RET_KILL_PROCESS);
  LOAD(nr);
  // The x32 calls of x86-64 have numbers of their own.
  EMIT(BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
  RETURN(forbid);
  for (int i = 0; i < forbidden_count; i++) {
    // All jump to the one return behind the list.
    EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i], (uint8_t)(forbidden_count - i), 0));
  }
  EMIT(BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0));
  RETURN(forbid);
  // Files are opened to be read (resolv.conf), never to be written or made.
  const uint32_t changes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;
#define LOW(index) args[index]  // little-endian: the low half comes first
  EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 0, 4));
  LOAD(LOW(2));
  EMIT(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, changes, 0, 1));
  RETURN(forbid);
  RETURN(SECCOMP_RET_ALLOW);
#ifdef __x86_64__
  EMIT(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_open, 0, 3));
  LOAD(LOW(1));
  EMIT(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, changes, 0, 1));
  RETURN(forbid);
#endif
  RETURN(SECCOMP_RET_ALLOW);
  struct sock_fprog program = {.len = count, .filter = code};
  return result(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
}
