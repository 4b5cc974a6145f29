// Reads and writes a block device in several ways and says how fast: the guest's side of Benchmarks/disk. It stands on
// the kernel alone, so that it is a few kilobytes for guests of any Linux.
//
//     disk_load DEVICE MILLISECONDS     each case for so long, by asynchronous requests that pass the guest's cache by
//
// A line for each case: its name, requests, bytes, nanoseconds.

#include <stddef.h>
#include <stdint.h>

#if defined(__riscv)
enum { nr_setup = 0, nr_submit = 2, nr_events = 4, nr_ioctl = 29, nr_open = 56, nr_write = 64, nr_sync = 83, nr_exit = 93,
       nr_clock = 113, nr_map = 222, direct = 040000 };
static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d,
                a4 __asm__("a4") = e, a5 __asm__("a5") = f, a7 __asm__("a7") = number;
  __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
  return a0;
}
__asm__(".globl _start\n_start:\n.option push\n.option norelax\nlla gp, __global_pointer$\n.option pop\n"
        "mv a0, sp\nandi sp, sp, -16\ncall begin\n");
#elif defined(__x86_64__)
enum { nr_setup = 206, nr_submit = 209, nr_events = 208, nr_ioctl = 16, nr_open = 257, nr_write = 1, nr_sync = 75, nr_exit = 60,
       nr_clock = 228, nr_map = 9, direct = 040000 };
static long call(long number, long a, long b, long c, long d, long e, long f) {
  register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
  __asm__ volatile("syscall" : "+a"(number) : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return number;
}
__asm__(".globl _start\n_start:\nmov %rsp, %rdi\nand $-16, %rsp\ncall begin\n");
#endif

// The kernel's own structures (linux/aio_abi.h).
struct request {
  uint64_t data;
  uint32_t key, flags;
  uint16_t opcode;
  int16_t priority;
  uint32_t file;
  uint64_t buffer, count;
  int64_t offset;
  uint64_t reserved;
  uint32_t more, event;
};
struct event {
  uint64_t data, request;
  int64_t result, result2;
};

struct load {
  const char *name;
  int writes, is_random, syncs;
  uint64_t block;
  int depth;
};
static const struct load loads[] = {
    {"seq-read", 0, 0, 0, 256 << 10, 4},     {"seq-write", 1, 0, 0, 256 << 10, 4},
    {"rand-read-1", 0, 1, 0, 4 << 10, 1},    {"rand-read-32", 0, 1, 0, 4 << 10, 32},
    {"rand-write-1", 1, 1, 0, 4 << 10, 1},   {"rand-write-32", 1, 1, 0, 4 << 10, 32},
    {"write-flush", 1, 1, 1, 4 << 10, 1},
};
enum { most = 32, room = 1 << 20 };

static struct request requests[most];
static struct event events[most];
static uint64_t state = 0x9E3779B97F4A7C15u;

void *memset(void *target, int value, size_t count) {
  volatile char *byte = target;
  while (count--) *byte++ = (char)value;
  return target;
}

static size_t length(const char *text) {
  size_t count = 0;
  while (text[count]) count++;
  return count;
}

static void say(const char *text) { call(nr_write, 1, (long)text, (long)length(text), 0, 0, 0); }

static void say_number(uint64_t value) {
  char text[24], *at = text + sizeof text - 1;
  *at = 0;
  do *--at = (char)('0' + value % 10);
  while (value /= 10);
  say(" ");
  say(at);
}

static void end(const char *reason, long code) {
  say(reason);
  say_number((uint64_t)-code);
  say("\n");
  call(nr_exit, 1, 0, 0, 0, 0, 0);
}

static uint64_t now(void) {
  int64_t time[2];
  call(nr_clock, 1, (long)time, 0, 0, 0, 0);
  return (uint64_t)time[0] * 1000000000 + (uint64_t)time[1];
}

static uint64_t chance(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

static void run(const struct load *load, long context, int file, uint64_t size, char *memory, uint64_t length) {
  uint64_t blocks = size / load->block, next = 0, done = 0;
  int flying = 0, free[most], count = load->depth;
  for (int i = 0; i < count; i++) free[i] = i;
  uint64_t start = now(), last = start;
  while (flying || last - start < length) {
    struct request *list[most];
    int added = 0;
    while (count && last - start < length) {
      struct request *request = &requests[free[--count]];
      memset(request, 0, sizeof *request);
      request->data = (uint64_t)(request - requests);
      request->opcode = load->writes ? 1 : 0;
      request->file = (uint32_t)file;
      request->buffer = (uint64_t)(memory + request->data * (load->depth > 4 ? load->block : room / 4));
      request->count = load->block;
      request->offset = (int64_t)((load->is_random ? chance() % blocks : next++ % blocks) * load->block);
      list[added++] = request;
    }
    for (int sent = 0; sent < added;) {
      long result = call(nr_submit, context, added - sent, (long)(list + sent), 0, 0, 0);
      if (result <= 0) end("io_submit failed", result);
      sent += (int)result;
    }
    flying += added;
    long result = call(nr_events, context, 1, most, (long)events, 0, 0);
    if (result <= 0) end("io_getevents failed", result);
    for (long i = 0; i < result; i++) {
      if (events[i].result != (int64_t)load->block) end("a request failed", events[i].result);
      free[count++] = (int)events[i].data;
    }
    flying -= (int)result;
    done += (uint64_t)result;
    if (load->syncs && (result = call(nr_sync, file, 0, 0, 0, 0, 0)) < 0) end("fdatasync failed", result);
    last = now();
  }
  say(load->name);
  say_number(done);
  say_number(done * load->block);
  say_number(last - start);
  say("\n");
}

static uint64_t number(const char *text) {
  uint64_t value = 0;
  while (*text >= '0' && *text <= '9') value = value * 10 + (uint64_t)(*text++ - '0');
  return value;
}

__attribute__((used)) static void begin(long *stack) {
  const char **words = (const char **)(stack + 1);
  if (stack[0] != 3) end("usage: disk_load DEVICE MILLISECONDS", 0);
  int file = (int)call(nr_open, -100, (long)words[1], 2 | direct, 0, 0, 0);
  if (file < 0) end("cannot open the device", file);
  uint64_t size = 0;
  long result = call(nr_ioctl, file, 0x80081272 /* BLKGETSIZE64 */, (long)&size, 0, 0, 0);
  if (result < 0) end("cannot tell the size", result);
  char *memory = (char *)call(nr_map, 0, room, 3, 0x22, -1, 0);
  if ((long)memory < 0 && (long)memory > -4096) end("no memory", (long)memory);
  for (uint64_t i = 0; i < room; i += 8) *(uint64_t *)(memory + i) = chance();
  unsigned long context = 0;
  if ((result = call(nr_setup, most, (long)&context, 0, 0, 0, 0)) < 0) end("io_setup failed", result);
  for (unsigned i = 0; i < sizeof loads / sizeof *loads; i++)
    run(&loads[i], (long)context, file, size, memory, number(words[2]) * 1000000);
  call(nr_exit, 0, 0, 0, 0, 0, 0);
}
