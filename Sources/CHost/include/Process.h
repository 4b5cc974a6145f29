// Child processes and signals as descriptors: GNU-only calls, and the stretch between fork and exec,
// where only async-signal-safe functions may run.
#ifndef VOLARY_PROCESS_H
#define VOLARY_PROCESS_H

#include <termios.h>

/// Runs a program in a session of its own, in `folder` unless that is NULL. Its descriptor i is `fds[i]` of ours, and it has no other;
/// signals are as at a program's start. Unless it `outlives` us, it gets SIGKILL when the calling thread ends.
/// Returns the process id, or -errno of whatever failed up to and including execve(2).
int volary_spawn(const char *path, char *const arguments[], char *const environment[], const char *folder,
                 const int *fds, int fd_count, _Bool outlives);
/// A pipe whose ends, the reading one first, no program inherits (pipe2(2), O_CLOEXEC).
int volary_pipe(int ends[2]);
/// A descriptor that becomes readable when the process ends (pidfd_open(2)).
int volary_pidfd_open(int pid);
/// Sends a signal to the process of such a descriptor (pidfd_send_signal(2)).
int volary_pidfd_signal(int pidfd, int signal);
/// Waits for a child without blocking: 1 and its wait status when it has ended, 0 when not yet.
int volary_reap(int pid, int *status);
/// Blocks the signals in the calling thread and returns a descriptor they are read from (signalfd(2)).
int volary_signalfd(const int *signals, int count);
/// The next signal waiting in a descriptor of volary_signalfd, or -EAGAIN.
int volary_signalfd_read(int fd);
/// Until the next call with a negative `fd`: sets these terminal attributes back, should this process die
/// of a fault of its own (SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE, SIGABRT), or, by a child that outlives
/// it for that, of any other cause.
void volary_guard_terminal(int fd, const struct termios *attributes);

#endif
