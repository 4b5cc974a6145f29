#define _GNU_SOURCE
#include "KVM.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

int volary_kvm_ioctl(int fd, unsigned long request, unsigned long argument) {
  int value = ioctl(fd, request, argument);
  return value < 0 ? -errno : value;
}

static pthread_once_t installed = PTHREAD_ONCE_INIT;
static _Thread_local int own_thread;

// That it comes is all that the signal has to do.
static void interrupted(int number) { (void)number; }

static void install(void) {
  struct sigaction action = {.sa_handler = interrupted, .sa_flags = SA_RESTART};
  sigaction(SIGRTMIN, &action, NULL);
}

int volary_accept_interrupts(void) {
  if (own_thread) return own_thread;
  pthread_once(&installed, install);
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGRTMIN);
  pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
  return own_thread = gettid();
}

int volary_interrupt_thread(int thread) { return tgkill(getpid(), thread, SIGRTMIN) < 0 ? -errno : 0; }
