// The C boundary of Volary: kernel constants, fixed-arity wrappers over variadic or GNU-only calls.
// Everything else is Swift. Each function returns what the system call returns, with -errno on
// failure, so that errno is never read across a language border.
#ifndef VOLARY_CHOST_H
#define VOLARY_CHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// MARK: Descriptors and memory

int volary_memfd_create(const char *name, bool allow_sealing);

/// malloc_trim(3): gives the host back what free(3) has kept. glibc keeps it in as many heaps as there are threads, each as
/// large as it once was.
void volary_trim_heap(void);
// Maps the pages of a shared mapping a second time.
int volary_map_again(void *address, size_t size, int protection, void **again);
int volary_eventfd(unsigned initial);
int volary_timerfd(void);
/// Arms a CLOCK_MONOTONIC timer for an absolute time in nanoseconds; 0 disarms it.
int volary_timerfd_set(int fd, uint64_t deadline_ns);
int volary_epoll_create(void);
/// `operation`: 1 add, 2 modify, 3 remove. `events` are EPOLL* bits, `data` comes back from the wait.
int volary_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data);
/// Fills `events[i]` and `data[i]`; returns how many, 0 on time-out. `timeout_ms` -1 waits for ever.
int volary_epoll_wait(int epoll, uint32_t *events, uint64_t *data, int capacity, int timeout_ms);
/// Writes zeroes without keeping the blocks (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE).
int volary_punch_hole(int fd, int64_t offset, int64_t length);
int volary_madvise_dontneed(void *address, size_t length);
int volary_open(const char *path, int flags, unsigned mode);
int volary_fcntl(int fd, int command, long argument);
/// ioctl of one pointer or integer argument.
int volary_ioctl(int fd, unsigned long request, void *argument);
/// Where data begins at or behind `offset`, or a hole (lseek(2), SEEK_DATA and SEEK_HOLE).
int64_t volary_seek_data(int fd, int64_t offset);
int64_t volary_seek_hole(int fd, int64_t offset);
/// Has the number `fd` stand for what `file` does, close-on-exec, in place of what it stood for (dup3(2)).
int volary_replace_descriptor(int file, int fd);
/// Copies up to `count` bytes between the same place of two files (copy_file_range(2)); 0 at the end.
int64_t volary_copy_range(int from, int to, int64_t offset, size_t count);

// MARK: Futexes

/// Sleeps while `*word == expected`, at most `timeout_ns` nanoseconds (negative: for ever).
/// 0 when woken, -EAGAIN when the word differs, -ETIMEDOUT, -EINTR.
int volary_futex_wait(const void *word, uint32_t expected, int64_t timeout_ns);
int volary_futex_wake(const void *word, int waiters);

// MARK: Descriptor passing

/// Sends bytes and up to 16 descriptors over a Unix socket in one message; bytes sent or -errno.
long volary_send_descriptors(int socket, const void *bytes, size_t count, const int *fds, int fd_count);
/// Receives bytes and descriptors (close-on-exec set); `*fd_count` holds the room, then how many came.
long volary_receive_descriptors(int socket, void *bytes, size_t count, int *fds, int *fd_count);
/// The next connection to a listening socket, nonblocking and close-on-exec, or -errno. Always accept4(2), which
/// a system-call filter can name.
int volary_accept(int listener);

// MARK: Threads

/// Starts a detached-or-joinable POSIX thread on `entry(argument)`. Returns 0 or -errno.
int volary_thread_start(uint64_t *thread, const char *name, size_t stack_size,
                        void (*entry)(void *), void *argument);
int volary_thread_join(uint64_t thread);
/// Puts the numbers of the host's CPUs that the calling thread may run on in an array. Returns how many, or -errno.
int volary_thread_cpus(unsigned *cpus, unsigned most);
/// Keeps the calling thread on one CPU of the host. Returns 0 or -errno.
int volary_thread_stay(unsigned cpu);

// MARK: Processor

/// Bit 0: LZCNT, BMI1 and POPCNT; bit 1: BMI2; bit 2: FMA3 with the operating system's support.
unsigned volary_cpu_features(void);

// MARK: Time

/// CLOCK_MONOTONIC in nanoseconds.
uint64_t volary_monotonic_ns(void);
/// CLOCK_REALTIME in nanoseconds since 1970.
uint64_t volary_realtime_ns(void);

// MARK: Topics with files of their own

#include "KVM.h"
#include "Process.h"
#include "Sandbox.h"
#include "CHostConfine.h"
#include "CHostNetwork.h"
#include "CHostStorage.h"
#include "Faults.h"

#endif
