// What disk images ask of the kernel. Included by CHost.h; the same conventions hold.
#ifndef VOLARY_CHOST_STORAGE_H
#define VOLARY_CHOST_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Zeroes a range and keeps its blocks (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE).
int volary_zero_range(int fd, int64_t offset, int64_t length);
/// O_DIRECT, whose value is the architecture's.
extern const int volary_o_direct;
/// Takes a lock of the whole file that belongs to the open file description, shared or exclusive,
/// without waiting: -EAGAIN when somebody else's stands against it (F_OFD_SETLK).
int volary_lock_file(int fd, bool exclusive);
/// Opens a file without a name in `directory`, gone when its last descriptor is closed.
int volary_open_temporary(const char *directory);
/// The length of an attribute of a file, of which as much as fits is put into `value` (getxattr(2)).
long volary_getxattr(const char *path, const char *name, void *value, size_t size);

#endif
