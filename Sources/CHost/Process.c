#define _GNU_SOURCE
#include "Process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

enum { most_fds = 64 };

/// Closes what lies in `first ... last`; kernels before 5.9 are asked one descriptor at a time.
static void close_between(unsigned first, unsigned last) {
  if (first > last || syscall(SYS_close_range, first, last, 0) == 0) return;
  long limit = sysconf(_SC_OPEN_MAX);
  for (unsigned fd = first; fd <= last && (long)fd < limit; fd++) close((int)fd);
}

static void become(const char *path, char *const arguments[], char *const environment[], const char *folder,
                   const int *fds, int fd_count, int failure_pipe, pid_t parent, _Bool outlives) {
  if (!outlives) {
    // The child dies with its parent; if the parent died before this line, nobody will tell.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0) goto failed;
    if (getppid() != parent) _exit(127);
  }
  setsid();
  if (folder && chdir(folder) < 0) goto failed;
  for (int signal = 1; signal < NSIG; signal++) {
    struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(signal, &usual, NULL);  // refused for SIGKILL and SIGSTOP, which cannot be changed anyway
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  // Sources first go above every target, so that no target overwrites a source that is still to come.
  int high[most_fds];
  for (int i = 0; i < fd_count; i++)
    if ((high[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, most_fds)) < 0) goto failed;
  int pipe_high = fcntl(failure_pipe, F_DUPFD_CLOEXEC, most_fds);
  if (pipe_high < 0) goto failed;
  failure_pipe = pipe_high;
  for (int i = 0; i < fd_count; i++)
    if (dup2(high[i], i) < 0) goto failed;
  close_between((unsigned)fd_count, (unsigned)failure_pipe - 1);
  close_between((unsigned)failure_pipe + 1, ~0u);
  execve(path, arguments, environment);
failed:;
  int code = errno;
  ssize_t ignored = write(failure_pipe, &code, sizeof code);
  (void)ignored;
  _exit(127);
}

int volary_spawn(const char *path, char *const arguments[], char *const environment[], const char *folder,
                 const int *fds, int fd_count, _Bool outlives) {
  if (fd_count < 0 || fd_count > most_fds) return -EINVAL;
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) < 0) return -errno;
  pid_t parent = getpid();
  pid_t child = fork();
  if (child == 0) become(path, arguments, environment, folder, fds, fd_count, ends[1], parent, outlives);
  int failure = child < 0 ? errno : 0;
  close(ends[1]);
  if (child > 0) {
    int code = 0;
    ssize_t count;
    do count = read(ends[0], &code, sizeof code);
    while (count < 0 && errno == EINTR);
    if (count == (ssize_t)sizeof code) {
      failure = code;
      while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    }
  }
  close(ends[0]);
  return failure ? -failure : child;
}

int volary_pipe(int ends[2]) { return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0; }

int volary_pidfd_open(int pid) {
  int fd = (int)syscall(SYS_pidfd_open, pid, 0);
  return fd < 0 ? -errno : fd;
}

int volary_pidfd_signal(int pidfd, int signal) {
  return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

int volary_reap(int pid, int *status) {
  pid_t ended;
  do ended = waitpid(pid, status, WNOHANG);
  while (ended < 0 && errno == EINTR);
  return ended < 0 ? -errno : ended == pid;
}

int volary_signalfd(const int *signals, int count) {
  sigset_t set;
  sigemptyset(&set);
  for (int i = 0; i < count; i++) sigaddset(&set, signals[i]);
  int failure = pthread_sigmask(SIG_BLOCK, &set, NULL);
  if (failure) return -failure;
  int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  return fd < 0 ? -errno : fd;
}

int volary_signalfd_read(int fd) {
  struct signalfd_siginfo info;
  ssize_t count = read(fd, &info, sizeof info);
  return count == (ssize_t)sizeof info ? (int)info.ssi_signo : count < 0 ? -errno : -EAGAIN;
}

static _Atomic int guarded = -1;
static struct termios guarded_attributes;

static void restore_and_die(int signal) {
  int fd = atomic_exchange(&guarded, -1);
  if (fd >= 0) tcsetattr(fd, TCSANOW, &guarded_attributes);
  // SA_RESETHAND made the default action current; the signal is delivered when this handler returns.
  raise(signal);
}

// A process that outlives this one by a moment, and the end of its pipe that closes with this one.
static pid_t keeper = -1;
static int keeper_pipe = -1;

/// The keeper's life: waits for the pipe's end, and restores unless a byte came before it.
static void keep(int fd, int pipe_end) {
  // Out of reach of what is sent to the terminal's group, and of the terminal's own signals.
  setsid();
  prctl(PR_SET_NAME, "volary-terminal", 0, 0, 0);
  // What it does not hold open closes with this process, as the others expect.
  int high = fcntl(pipe_end, F_DUPFD, most_fds), terminal = fcntl(fd, F_DUPFD, most_fds);
  if (high < 0 || terminal < 0) _exit(1);
  close_between(0, most_fds - 1);
  int first = high < terminal ? high : terminal, last = high < terminal ? terminal : high;
  close_between(most_fds, (unsigned)first - 1);
  close_between((unsigned)first + 1, (unsigned)last - 1);
  close_between((unsigned)last + 1, ~0u);
  char byte;
  ssize_t count;
  do count = read(high, &byte, 1);
  while (count < 0 && errno == EINTR);
  if (count == 0) tcsetattr(terminal, TCSANOW, &guarded_attributes);
  _exit(0);
}

static void start_keeper(int fd) {
  int ends[2];
  if (keeper >= 0 || pipe2(ends, O_CLOEXEC) < 0) return;
  keeper = fork();
  if (keeper == 0) {
    close(ends[1]);
    keep(fd, ends[0]);
  }
  close(ends[0]);
  if (keeper > 0)
    keeper_pipe = ends[1];
  else
    close(ends[1]);
}

static void end_keeper(void) {
  if (keeper < 0) return;
  ssize_t ignored = write(keeper_pipe, "", 1);
  (void)ignored;
  close(keeper_pipe);
  while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR) {}
  keeper = keeper_pipe = -1;
}

void volary_guard_terminal(int fd, const struct termios *attributes) {
  static const int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT};
  if (fd < 0) {
    atomic_store(&guarded, -1);
    end_keeper();
    return;
  }
  guarded_attributes = *attributes;
  atomic_store(&guarded, fd);
  start_keeper(fd);
  struct sigaction action = {.sa_handler = restore_and_die, .sa_flags = SA_RESETHAND};
  for (unsigned i = 0; i < sizeof faults / sizeof faults[0]; i++) sigaction(faults[i], &action, NULL);
}
