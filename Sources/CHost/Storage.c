#define _GNU_SOURCE
#include "CHostStorage.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/xattr.h>
#include <unistd.h>

int volary_zero_range(int fd, int64_t offset, int64_t length) {
  return fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, offset, length) < 0 ? -errno : 0;
}

const int volary_o_direct = O_DIRECT;

int volary_lock_file(int fd, bool exclusive) {
  struct flock whole = {.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET};
  return fcntl(fd, F_OFD_SETLK, &whole) < 0 ? -errno : 0;
}

int volary_open_temporary(const char *directory) {
  int fd = open(directory, O_TMPFILE | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
  // EISDIR: a kernel, EOPNOTSUPP: a file system without O_TMPFILE (NFS and some overlays).
  if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return fd < 0 ? -errno : fd;
  char path[PATH_MAX];
  if (snprintf(path, sizeof path, "%s/volary.XXXXXX", directory) >= (int)sizeof path) return -ENAMETOOLONG;
  fd = mkostemp(path, O_CLOEXEC);
  if (fd < 0) return -errno;
  unlink(path);
  return fd;
}

long volary_getxattr(const char *path, const char *name, void *value, size_t size) {
  long length = getxattr(path, name, value, size);
  return length < 0 ? -errno : length;
}
