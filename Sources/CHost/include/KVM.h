// Kernel constants of KVM: the _IO* macros are expressions that Swift cannot import, and what struct
// kvm_run holds in unions without names is reached by offset.
#ifndef VOLARY_KVM_H
#define VOLARY_KVM_H

#include <linux/kvm.h>
#include <stddef.h>

// MARK: Requests to /dev/kvm, to a virtual machine, to a virtual CPU

static const unsigned long volary_kvm_get_api_version = KVM_GET_API_VERSION;
static const unsigned long volary_kvm_check_extension = KVM_CHECK_EXTENSION;
static const unsigned long volary_kvm_get_vcpu_mmap_size = KVM_GET_VCPU_MMAP_SIZE;
static const unsigned long volary_kvm_create_vm = KVM_CREATE_VM;

static const unsigned long volary_kvm_enable_cap = KVM_ENABLE_CAP;
static const unsigned long volary_kvm_set_user_memory_region = KVM_SET_USER_MEMORY_REGION;
static const unsigned long volary_kvm_get_dirty_log = KVM_GET_DIRTY_LOG;
static const unsigned long volary_kvm_clear_dirty_log = KVM_CLEAR_DIRTY_LOG;
static const unsigned long volary_kvm_set_gsi_routing = KVM_SET_GSI_ROUTING;
static const unsigned long volary_kvm_signal_msi = KVM_SIGNAL_MSI;
static const unsigned long volary_kvm_irqfd = KVM_IRQFD;
static const unsigned long volary_kvm_ioeventfd = KVM_IOEVENTFD;
static const unsigned long volary_kvm_get_clock = KVM_GET_CLOCK;
static const unsigned long volary_kvm_set_clock = KVM_SET_CLOCK;
static const unsigned long volary_kvm_create_vcpu = KVM_CREATE_VCPU;

static const unsigned long volary_kvm_run = KVM_RUN;
static const unsigned long volary_kvm_get_mp_state = KVM_GET_MP_STATE;
static const unsigned long volary_kvm_set_mp_state = KVM_SET_MP_STATE;

#if defined(__x86_64__)
static const unsigned long volary_kvm_get_supported_cpuid = KVM_GET_SUPPORTED_CPUID;
static const unsigned long volary_kvm_get_msr_index_list = KVM_GET_MSR_INDEX_LIST;
static const unsigned long volary_kvm_set_tss_addr = KVM_SET_TSS_ADDR;
static const unsigned long volary_kvm_set_identity_map_addr = KVM_SET_IDENTITY_MAP_ADDR;
static const unsigned long volary_kvm_set_cpuid2 = KVM_SET_CPUID2;
static const unsigned long volary_kvm_get_regs = KVM_GET_REGS;
static const unsigned long volary_kvm_set_regs = KVM_SET_REGS;
static const unsigned long volary_kvm_get_sregs = KVM_GET_SREGS;
static const unsigned long volary_kvm_set_sregs = KVM_SET_SREGS;
static const unsigned long volary_kvm_get_msrs = KVM_GET_MSRS;
static const unsigned long volary_kvm_set_msrs = KVM_SET_MSRS;
static const unsigned long volary_kvm_get_lapic = KVM_GET_LAPIC;
static const unsigned long volary_kvm_set_lapic = KVM_SET_LAPIC;
static const unsigned long volary_kvm_get_vcpu_events = KVM_GET_VCPU_EVENTS;
static const unsigned long volary_kvm_set_vcpu_events = KVM_SET_VCPU_EVENTS;
static const unsigned long volary_kvm_get_debugregs = KVM_GET_DEBUGREGS;
static const unsigned long volary_kvm_set_debugregs = KVM_SET_DEBUGREGS;
static const unsigned long volary_kvm_get_xsave = KVM_GET_XSAVE;
static const unsigned long volary_kvm_get_xsave2 = KVM_GET_XSAVE2;
static const unsigned long volary_kvm_set_xsave = KVM_SET_XSAVE;
static const unsigned long volary_kvm_get_xcrs = KVM_GET_XCRS;
static const unsigned long volary_kvm_set_xcrs = KVM_SET_XCRS;
static const unsigned long volary_kvm_get_tsc_khz = KVM_GET_TSC_KHZ;
static const unsigned long volary_kvm_set_tsc_khz = KVM_SET_TSC_KHZ;
static const unsigned long volary_kvm_kvmclock_ctrl = KVM_KVMCLOCK_CTRL;
static const unsigned long volary_kvm_interrupt = KVM_INTERRUPT;
static const unsigned long volary_kvm_nmi = KVM_NMI;
#endif

// MARK: Fields of struct kvm_run

enum {
  volary_kvm_run_request_interrupt_window = offsetof(struct kvm_run, request_interrupt_window),
  volary_kvm_run_immediate_exit = offsetof(struct kvm_run, immediate_exit),
  volary_kvm_run_exit_reason = offsetof(struct kvm_run, exit_reason),
  volary_kvm_run_ready_for_interrupt = offsetof(struct kvm_run, ready_for_interrupt_injection),
  volary_kvm_run_hardware_reason = offsetof(struct kvm_run, hw.hardware_exit_reason),
  volary_kvm_run_io_direction = offsetof(struct kvm_run, io.direction),
  volary_kvm_run_io_size = offsetof(struct kvm_run, io.size),
  volary_kvm_run_io_port = offsetof(struct kvm_run, io.port),
  volary_kvm_run_io_count = offsetof(struct kvm_run, io.count),
  volary_kvm_run_io_data_offset = offsetof(struct kvm_run, io.data_offset),
  volary_kvm_run_mmio_address = offsetof(struct kvm_run, mmio.phys_addr),
  volary_kvm_run_mmio_data = offsetof(struct kvm_run, mmio.data),
  volary_kvm_run_mmio_length = offsetof(struct kvm_run, mmio.len),
  volary_kvm_run_mmio_is_write = offsetof(struct kvm_run, mmio.is_write),
  volary_kvm_run_entry_reason = offsetof(struct kvm_run, fail_entry.hardware_entry_failure_reason),
  volary_kvm_run_entry_cpu = offsetof(struct kvm_run, fail_entry.cpu),
  volary_kvm_run_suberror = offsetof(struct kvm_run, internal.suberror),
  volary_kvm_run_internal_count = offsetof(struct kvm_run, internal.ndata),
  volary_kvm_run_internal_data = offsetof(struct kvm_run, internal.data),
  volary_kvm_run_event_type = offsetof(struct kvm_run, system_event.type),
  volary_kvm_run_eoi_vector = offsetof(struct kvm_run, eoi.vector),
  volary_kvm_run_fixed_size = sizeof(struct kvm_run),
};

// MARK: Calls

/// ioctl(2) of one integer argument.
int volary_kvm_ioctl(int fd, unsigned long request, unsigned long argument);
/// Makes the calling thread one that volary_interrupt_thread reaches: an empty handler is installed for
/// the signal, once a process, and the thread does not block it. The thread's id.
int volary_accept_interrupts(void);
/// Has a thread's KVM_RUN return with EINTR. Other system calls of the thread go on (SA_RESTART).
int volary_interrupt_thread(int thread);

#endif
