// Kernel constants of KVM: the _IO* macros are expressions that Swift cannot import.
#ifndef VOLARY_KVM_H
#define VOLARY_KVM_H

#include <linux/kvm.h>

enum {
  volary_kvm_get_api_version = KVM_GET_API_VERSION,
  volary_kvm_create_vm = KVM_CREATE_VM,
  volary_kvm_get_vcpu_mmap_size = KVM_GET_VCPU_MMAP_SIZE,
  volary_kvm_create_vcpu = KVM_CREATE_VCPU,
  volary_kvm_run = KVM_RUN,
};
static const unsigned long volary_kvm_set_user_memory_region = KVM_SET_USER_MEMORY_REGION;
#if defined(__x86_64__)
static const unsigned long volary_kvm_get_regs = KVM_GET_REGS;
static const unsigned long volary_kvm_set_regs = KVM_SET_REGS;
static const unsigned long volary_kvm_get_sregs = KVM_GET_SREGS;
static const unsigned long volary_kvm_set_sregs = KVM_SET_SREGS;
#endif

/// ioctl(2) of one integer argument.
int volary_kvm_ioctl(int fd, unsigned long request, unsigned long argument);

#endif
