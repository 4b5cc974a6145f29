#include "KVM.h"

#include <errno.h>
#include <sys/ioctl.h>

int volary_kvm_ioctl(int fd, unsigned long request, unsigned long argument) {
  int value = ioctl(fd, request, argument);
  return value < 0 ? -errno : value;
}
