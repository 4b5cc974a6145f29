#define _GNU_SOURCE
#include "CHost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static inline int result(int value) { return value < 0 ? -errno : value; }

int volary_memfd_create(const char *name, bool allow_sealing) {
  return result(memfd_create(name, MFD_CLOEXEC | (allow_sealing ? MFD_ALLOW_SEALING : 0)));
}

void volary_trim_heap(void) { malloc_trim(0); }

int volary_map_again(void *address, size_t size, int protection, void **again) {
  void *place = mremap(address, 0, size, MREMAP_MAYMOVE);
  if (place == MAP_FAILED) return -errno;
  if (mprotect(place, size, protection) < 0) {
    int failure = -errno;
    munmap(place, size);
    return failure;
  }
  *again = place;
  return 0;
}

int volary_eventfd(unsigned initial) { return result(eventfd(initial, EFD_CLOEXEC | EFD_NONBLOCK)); }

int volary_timerfd(void) { return result(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)); }

int volary_timerfd_set(int fd, uint64_t deadline_ns) {
  struct itimerspec when = {.it_value = {.tv_sec = (time_t)(deadline_ns / 1000000000u),
                                         .tv_nsec = (long)(deadline_ns % 1000000000u)}};
  return result(timerfd_settime(fd, TFD_TIMER_ABSTIME, &when, NULL));
}

int volary_epoll_create(void) { return result(epoll_create1(EPOLL_CLOEXEC)); }

int volary_epoll_control(int epoll, int operation, int fd, uint32_t events, uint64_t data) {
  static const int operations[] = {0, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CTL_DEL};
  if (operation < 1 || operation > 3) return -EINVAL;
  struct epoll_event event = {.events = events, .data = {.u64 = data}};
  return result(epoll_ctl(epoll, operations[operation], fd, &event));
}

int volary_epoll_wait(int epoll, uint32_t *events, uint64_t *data, int capacity, int timeout_ms) {
  struct epoll_event ready[64];
  if (capacity > 64) capacity = 64;
  int count = epoll_wait(epoll, ready, capacity, timeout_ms);
  if (count < 0) return -errno;
  for (int i = 0; i < count; i++) {
    events[i] = ready[i].events;
    data[i] = ready[i].data.u64;
  }
  return count;
}

int volary_punch_hole(int fd, int64_t offset, int64_t length) {
  return result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length));
}

int volary_madvise_dontneed(void *address, size_t length) {
  return result(madvise(address, length, MADV_DONTNEED));
}

int volary_open(const char *path, int flags, unsigned mode) { return result(open(path, flags | O_CLOEXEC, mode)); }

int volary_fcntl(int fd, int command, long argument) { return result(fcntl(fd, command, argument)); }

int volary_ioctl(int fd, unsigned long request, void *argument) { return result(ioctl(fd, request, argument)); }

static inline int64_t long_result(int64_t value) { return value < 0 ? -errno : value; }

int64_t volary_seek_data(int fd, int64_t offset) { return long_result(lseek(fd, offset, SEEK_DATA)); }

int64_t volary_seek_hole(int fd, int64_t offset) { return long_result(lseek(fd, offset, SEEK_HOLE)); }

int volary_replace_descriptor(int file, int fd) { return result(dup3(file, fd, O_CLOEXEC)); }

int64_t volary_copy_range(int from, int to, int64_t offset, size_t count) {
  off_t source = offset, target = offset;
  return long_result(copy_file_range(from, &source, to, &target, count, 0));
}

int volary_futex_wait(const void *word, uint32_t expected, int64_t timeout_ns) {
  struct timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
  return result((int)syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected,
                             timeout_ns < 0 ? NULL : &limit, NULL, 0));
}

int volary_futex_wake(const void *word, int waiters) {
  return result((int)syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, waiters, NULL, NULL, 0));
}

enum { max_descriptors = 16 };

long volary_send_descriptors(int socket, const void *bytes, size_t count, const int *fds, int fd_count) {
  if (fd_count < 0 || fd_count > max_descriptors) return -EINVAL;
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * max_descriptors)];
  } control;
  struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
  struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
  if (fd_count > 0) {
    memset(&control, 0, sizeof control);
    message.msg_control = &control;
    message.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)fd_count);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * (size_t)fd_count);
    memcpy(CMSG_DATA(header), fds, sizeof(int) * (size_t)fd_count);
  }
  ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  return sent < 0 ? -errno : sent;
}

long volary_receive_descriptors(int socket, void *bytes, size_t count, int *fds, int *fd_count) {
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int) * max_descriptors)];
  } control;
  struct iovec part = {.iov_base = bytes, .iov_len = count};
  struct msghdr message = {
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int room = *fd_count;
  *fd_count = 0;
  ssize_t received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (received < 0) return -errno;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int came = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < came; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(header) + (size_t)i * sizeof(int), sizeof fd);
      if (*fd_count < room) fds[(*fd_count)++] = fd;
      else close(fd);
    }
  }
  return received;
}

int volary_accept(int listener) {
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

struct start {
  void (*entry)(void *);
  void *argument;
  char name[16];
};

static void *run_thread(void *pointer) {
  struct start start = *(struct start *)pointer;
  free(pointer);
  pthread_setname_np(pthread_self(), start.name);
  start.entry(start.argument);
  return NULL;
}

int volary_thread_start(uint64_t *thread, const char *name, size_t stack_size,
                        void (*entry)(void *), void *argument) {
  struct start *start = calloc(1, sizeof *start);
  if (!start) return -ENOMEM;
  start->entry = entry;
  start->argument = argument;
  strncpy(start->name, name, sizeof start->name - 1);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, stack_size);
  pthread_t created;
  int failure = pthread_create(&created, &attributes, run_thread, start);
  pthread_attr_destroy(&attributes);
  if (failure) {
    free(start);
    return -failure;
  }
  *thread = (uint64_t)created;
  return 0;
}

int volary_thread_join(uint64_t thread) { return -pthread_join((pthread_t)thread, NULL); }

int volary_thread_cpus(unsigned *cpus, unsigned most) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) < 0) return -errno;
  unsigned count = 0;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE && count < most; cpu++)
    if (CPU_ISSET(cpu, &set)) cpus[count++] = cpu;
  return (int)count;
}

int volary_thread_stay(unsigned cpu) {
  cpu_set_t set;
  if (cpu >= CPU_SETSIZE) return -EINVAL;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return result(sched_setaffinity(0, sizeof set, &set));
}

static uint64_t nanoseconds(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t volary_monotonic_ns(void) { return nanoseconds(CLOCK_MONOTONIC); }
uint64_t volary_realtime_ns(void) { return nanoseconds(CLOCK_REALTIME); }

unsigned volary_cpu_features(void) {
  unsigned features = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("lzcnt") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("popcnt"))
    features |= 1;
  if (__builtin_cpu_supports("bmi2")) features |= 2;
  if (__builtin_cpu_supports("fma")) features |= 4;
  if (__builtin_cpu_supports("avx")) features |= 8;
#endif
  return features;
}
