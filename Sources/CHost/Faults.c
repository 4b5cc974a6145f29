#define _GNU_SOURCE
#include "Faults.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <ucontext.h>

enum { most = 64 };
static _Atomic(struct volary_faulting_code *) codes[most];
static struct sigaction former_segv, former_bus;
static pthread_once_t installed = PTHREAD_ONCE_INIT;

// Offset of the slow path of the instruction at `offset`, or -1.
static int64_t find(const struct volary_faulting_code *code, uint32_t offset) {
  uint32_t low = 0, high = atomic_load_explicit(&code->count, memory_order_acquire);
  while (low < high) {
    uint32_t middle = low + (high - low) / 2;
    if (code->entries[middle] >> 32 < offset) low = middle + 1;
    else high = middle;
  }
  if (low == atomic_load_explicit(&code->count, memory_order_acquire)) return -1;
  uint64_t entry = code->entries[low];
  return entry >> 32 == offset ? (int64_t)(uint32_t)entry : -1;
}

static void handle(int number, siginfo_t *info, void *context) {
  (void)info;
#if defined(__x86_64__)
  greg_t *place = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
  for (int i = 0; i < most; i++) {
    const struct volary_faulting_code *code = atomic_load_explicit(&codes[i], memory_order_acquire);
    if (!code || (uintptr_t)*place < code->start || (uintptr_t)*place >= code->end) continue;
    int64_t target = find(code, (uint32_t)((uintptr_t)*place - code->start));
    if (target < 0) break;
    *place = (greg_t)(code->start + (uintptr_t)target);
    return;
  }
#endif
  // Not ours: it happens again, to whoever had the signal before.
  sigaction(number, number == SIGSEGV ? &former_segv : &former_bus, NULL);
}

static void install(void) {
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
  sigaction(SIGSEGV, &action, &former_segv);
  sigaction(SIGBUS, &action, &former_bus);
}

int volary_catch_faults(struct volary_faulting_code *code) {
  pthread_once(&installed, install);
  for (int i = 0; i < most; i++) {
    struct volary_faulting_code *none = NULL;
    if (atomic_compare_exchange_strong(&codes[i], &none, code)) return 0;
  }
  return -ENOSPC;
}

void volary_withdraw_faults(struct volary_faulting_code *code) {
  for (int i = 0; i < most; i++) {
    struct volary_faulting_code *expected = code;
    if (atomic_compare_exchange_strong(&codes[i], &expected, NULL)) return;
  }
}

void volary_set_fault_count(struct volary_faulting_code *code, uint32_t count) {
  atomic_store_explicit(&code->count, count, memory_order_release);
}

_Bool volary_has_gs_base(void) {
#if defined(__x86_64__)
  return (getauxval(AT_HWCAP2) & 2) != 0;  // HWCAP2_FSGSBASE
#else
  return 0;
#endif
}

void volary_set_gs_base(uint64_t base) {
#if defined(__x86_64__)
  __asm__ volatile("wrgsbase %0" : : "r"(base));
#else
  (void)base;
#endif
}
