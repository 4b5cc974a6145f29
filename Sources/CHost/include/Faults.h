// Host faults of generated code. Included by CHost.h; the same conventions hold.
#ifndef VOLARY_FAULTS_H
#define VOLARY_FAULTS_H

#include <stdatomic.h>
#include <stdint.h>

/// Code whose instructions may fault, and where each goes on then. Entries are in the order of the code:
/// the upper 32 bits are an instruction's offset from `start`, the lower 32 bits that of its slow path.
/// Entries are written before `count` grows.
struct volary_faulting_code {
  uintptr_t start, end;
  const uint64_t *entries;
  _Atomic uint32_t count;
};

/// Has SIGSEGV and SIGBUS of `code` go on as its entries say; it must stay where it is until it is withdrawn.
/// -ENOSPC when there is too much such code already.
int volary_catch_faults(struct volary_faulting_code *code);
void volary_withdraw_faults(struct volary_faulting_code *code);
/// What `count` is from now on, seen by faults from now on.
void volary_set_fault_count(struct volary_faulting_code *code, uint32_t count);

/// Whether programs may set the base of the gs segment themselves.
_Bool volary_has_gs_base(void);
/// Sets the calling thread's base of the gs segment.
void volary_set_gs_base(uint64_t base);

#endif
