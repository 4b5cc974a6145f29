// Giving up rights: capabilities, namespaces, Landlock, seccomp. Policy is in Swift; here are only
// the calls and the numbers that Swift cannot import.
#ifndef VOLARY_SANDBOX_H
#define VOLARY_SANDBOX_H

#include <stdint.h>
#include <sys/prctl.h>

/// One classic BPF instruction, laid out as the kernel's struct sock_filter.
struct volary_bpf_instruction {
  uint16_t code;
  uint8_t jump_true;
  uint8_t jump_false;
  uint32_t k;
};

enum {
  volary_pr_set_pdeathsig = PR_SET_PDEATHSIG,
  volary_pr_set_dumpable = PR_SET_DUMPABLE,
  volary_pr_set_name = PR_SET_NAME,
  volary_pr_set_no_new_privs = PR_SET_NO_NEW_PRIVS,
};

/// prctl(2) of one integer argument.
int volary_prctl(int option, unsigned long argument);
/// prctl(PR_GET_PDEATHSIG): the signal this process gets when its parent ends, 0 for none.
int volary_parent_death_signal(void);
/// Empties every capability set of the calling thread, and the bounding set where that is allowed.
int volary_drop_capabilities(void);
/// setrlimit(2), soft and hard limit alike.
int volary_limit(int resource, uint64_t value);
/// Moves the calling process, which must have one thread, into user, mount, network, IPC and UTS
/// namespaces of its own, whose file system is an empty read-only directory.
int volary_enter_empty_namespaces(void);
/// The kernel's Landlock ABI version, or -errno where it has none.
int volary_landlock_abi(void);
/// Denies the calling thread every access that the given Landlock ABI can deny.
int volary_landlock_deny_all(int abi);
/// Installs a seccomp filter on every thread of the process. PR_SET_NO_NEW_PRIVS must be set.
int volary_seccomp_install(const struct volary_bpf_instruction *program, unsigned count);
/// AUDIT_ARCH_* of this build.
uint32_t volary_audit_architecture(void);
/// A system call's number on this architecture by its name, -1 where the architecture has none, -2 when
/// the name is in no list.
int volary_system_call_number(const char *name);

#endif
