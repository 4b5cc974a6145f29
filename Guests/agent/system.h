// The agent's boundary to the kernel: system calls by number, and what of the kernel's own structures is needed. Every
// call returns what the kernel returns, a negative error number included.
#pragma once

typedef unsigned char agent_u8;
typedef unsigned short agent_u16;
typedef unsigned int agent_u32;
typedef unsigned long long agent_u64;
typedef int agent_i32;
typedef long long agent_i64;

#if defined(__x86_64__)

static inline long agent_call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

// arch/x86/entry/syscalls/syscall_64.tbl
#define AGENT_CALLS(X) \
  X(read, 0) X(write, 1) X(close, 3) X(mmap, 9) X(munmap, 11) X(rt_sigaction, 13) X(rt_sigprocmask, 14) \
  X(ioctl, 16) X(pread, 17) X(pwrite, 18) X(socket, 41) X(bind, 49) \
  X(listen, 50) X(clone, 56) X(execve, 59) X(exit, 231) \
  X(wait4, 61) X(kill, 62) X(uname, 63) X(fsync, 74) X(chdir, 80) \
  X(setsid, 112) X(setgroups, 116) X(setresuid, 117) X(setresgid, 119) \
  X(getdents, 217) X(clock_settime, 227) X(openat, 257) X(mkdirat, 258) X(fchownat, 260) X(unlinkat, 263) \
  X(linkat, 265) X(symlinkat, 266) X(readlinkat, 267) X(fchmodat, 268) X(ppoll, 271) X(utimensat, 280) \
  X(accept, 288) X(dup3, 292) X(pipe, 293) X(renameat2, 316) X(statx, 332) X(statfs, 137) X(sethostname, 170) X(truncate, 76) X(umask, 95)

#elif defined(__riscv) && __riscv_xlen == 64

static inline long agent_call(long number, long a, long b, long c, long d, long e, long f) {
  register long a7 __asm__("a7") = number;
  register long a0 __asm__("a0") = a;
  register long a1 __asm__("a1") = b;
  register long a2 __asm__("a2") = c;
  register long a3 __asm__("a3") = d;
  register long a4 __asm__("a4") = e;
  register long a5 __asm__("a5") = f;
  __asm__ volatile("ecall"
                   : "+r"(a0)
                   : "r"(a7), "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5)
                   : "memory");
  return a0;
}

// include/uapi/asm-generic/unistd.h
#define AGENT_CALLS(X) \
  X(read, 63) X(write, 64) X(close, 57) X(mmap, 222) X(munmap, 215) X(rt_sigaction, 134) X(rt_sigprocmask, 135) \
  X(ioctl, 29) X(pread, 67) X(pwrite, 68) X(socket, 198) X(bind, 200) \
  X(listen, 201) X(clone, 220) X(execve, 221) \
  X(exit, 94) X(wait4, 260) X(kill, 129) X(uname, 160) X(fsync, 82) X(chdir, 49) \
  X(setsid, 157) X(setgroups, 159) X(setresuid, 147) X(setresgid, 149) \
  X(getdents, 61) X(clock_settime, 112) X(openat, 56) X(mkdirat, 34) X(fchownat, 54) X(unlinkat, 35) \
  X(linkat, 37) X(symlinkat, 36) X(readlinkat, 78) X(fchmodat, 53) X(ppoll, 73) X(utimensat, 88) \
  X(accept, 242) X(dup3, 24) X(pipe, 59) X(renameat2, 276) X(statx, 291) X(statfs, 43) X(sethostname, 161) X(truncate, 45) X(umask, 166)

#else
#error "the agent does not know this architecture's system calls"
#endif

enum {
#define AGENT_NUMBER(name, number) AGENT_SYS_##name = number,
  AGENT_CALLS(AGENT_NUMBER)
#undef AGENT_NUMBER
};

// A process of the caller's memory, copied: the kernel's clone with no more than the signal of its end.
static inline long agent_fork(void) { return agent_call(AGENT_SYS_clone, 17, 0, 0, 0, 0, 0); }

// struct sockaddr_vm (vm_sockets.h).
struct agent_vsock_address {
  agent_u16 family, reserved;
  agent_u32 port, cid;
  agent_u8 flags, zero[3];
};

// struct sockaddr_nl (netlink.h).
struct agent_netlink_address {
  agent_u16 family, pad;
  agent_u32 process, groups;
};

struct agent_poll {
  agent_i32 descriptor;
  short events, revents;
};

struct agent_time {
  agent_i64 seconds, nanoseconds;
};

struct agent_statx_time {
  agent_i64 seconds;
  agent_u32 nanoseconds, pad;
};

// struct statx (stat.h), the same on every architecture.
struct agent_statx {
  agent_u32 mask, block_size;
  agent_u64 attributes;
  agent_u32 links, user, group;
  agent_u16 mode, pad;
  agent_u64 inode, size, blocks, attributes_mask;
  struct agent_statx_time accessed, born, changed, modified;
  agent_u32 more[64];
};

// struct statfs of 64-bit architectures (asm-generic/statfs.h).
struct agent_statfs {
  agent_i64 type, block_size;
  agent_u64 blocks, blocks_free, blocks_available, files, files_free;
  agent_i32 identity[2];
  agent_i64 name_length, fragment_size, flags, spare[4];
};

struct agent_window_size {
  agent_u16 rows, columns, width, height;
};

// struct new_utsname.
struct agent_names {
  char system[65], node[65], release[65], version[65], machine[65], domain[65];
};

// struct sigaction of the kernel's, without a handler.
struct agent_signal_action {
  long handler;
  unsigned long flags;
  agent_u64 more[2];
};

// The first word behind the program's name on its command line; empty without one.
const char *agent_option(void);
