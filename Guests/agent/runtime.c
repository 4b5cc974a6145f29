// What a program needs that stands on the kernel alone: its beginning, memory, and the few functions that compilers
// call by themselves.
#include "system.h"

typedef unsigned long size_t;

static const char *option = "";

const char *agent_option(void) { return option; }

// The Swift program's `main`.
int main(int count, char **arguments);

// What lies in front of a function's return address while it runs, and its end when that was written over.
unsigned long __stack_chk_guard;

__attribute__((noreturn)) void __stack_chk_fail(void) {
  for (;;) agent_call(AGENT_SYS_exit, 134, 0, 0, 0, 0, 0);
}

__attribute__((noreturn, used)) void agent_begin(long *stack) {
  int count = (int)stack[0];
  char **arguments = (char **)(stack + 1);
  if (count > 1) option = arguments[1];
  char **end = arguments + count + 1;
  while (*end) end++;
  // The kernel's auxiliary values: AT_RANDOM is the address of 16 bytes by chance.
  for (unsigned long *value = (unsigned long *)(end + 1); value[0]; value += 2)
    if (value[0] == 25) __stack_chk_guard = *(unsigned long *)value[1];
  int code = main(count, arguments);
  for (;;) agent_call(AGENT_SYS_exit, code, 0, 0, 0, 0, 0);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  mov %rsp, %rdi\n  and $-16, %rsp\n  call agent_begin\n");
#else
__asm__(".globl _start\n_start:\n"
        ".option push\n.option norelax\n  lla gp, __global_pointer$\n.option pop\n"
        "  mv a0, sp\n  andi sp, sp, -16\n  tail agent_begin\n");
#endif

// Compilers must not make calls of these functions out of their own loops.
#pragma clang optimize off

void *memcpy(void *to, const void *from, size_t count) {
#if defined(__x86_64__)
  void *start = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
  return start;
#else
  char *t = to;
  const char *f = from;
  if (!(((unsigned long)t | (unsigned long)f) & 7))
    for (; count >= 8; count -= 8, t += 8, f += 8) *(long *)t = *(const long *)f;
  while (count--) *t++ = *f++;
  return to;
#endif
}

void *memmove(void *to, const void *from, size_t count) {
  if ((unsigned long)to - (unsigned long)from >= count) return memcpy(to, from, count);
  char *t = (char *)to + count;
  const char *f = (const char *)from + count;
  while (count--) *--t = *--f;
  return to;
}

void *memset(void *to, int value, size_t count) {
  char *t = to;
  while (count--) *t++ = (char)value;
  return to;
}

int memcmp(const void *one, const void *other, size_t count) {
  const agent_u8 *a = one, *b = other;
  for (; count; count--, a++, b++)
    if (*a != *b) return *a - *b;
  return 0;
}

#pragma clang optimize on

// Memory: pieces of a power of two, kept by size when they are free; large ones are mappings of their own. In front of
// each stands its class, or its mapping's bytes. A process of the agent has one thread.
enum { smallest = 6, classes = 12, header = 16, chunk = 256 << 10 };

static void *free_pieces[classes];
static char *fresh, *fresh_end;

static void *map(size_t count) {
  long address = agent_call(AGENT_SYS_mmap, 0, (long)count, 3, 0x22, -1, 0);
  return address < 0 && address > -4096 ? 0 : (void *)address;
}

static void *allocate(size_t count) {
  if (count > (1UL << 62)) return 0;
  size_t whole = count + header;
  int class = 0;
  while (class < classes && (1UL << (smallest + class)) < whole) class++;
  if (class == classes) {
    whole = (whole + 4095) & ~4095UL;
    unsigned long *piece = map(whole);
    if (!piece) return 0;
    piece[0] = whole;
    return (char *)piece + header;
  }
  unsigned long *piece = free_pieces[class];
  if (piece) {
    free_pieces[class] = *(void **)((char *)piece + header);
  } else {
    size_t size = 1UL << (smallest + class);
    if ((size_t)(fresh_end - fresh) < size) {
      fresh = map(chunk);
      if (!fresh) {
        fresh_end = 0;
        return 0;
      }
      fresh_end = fresh + chunk;
    }
    piece = (unsigned long *)fresh;
    fresh += size;
  }
  piece[0] = (unsigned long)class;
  return (char *)piece + header;
}

void free(void *memory) {
  if (!memory) return;
  unsigned long *piece = (unsigned long *)((char *)memory - header);
  if (piece[0] >= classes) {
    agent_call(AGENT_SYS_munmap, (long)piece, (long)piece[0], 0, 0, 0, 0);
    return;
  }
  *(void **)memory = free_pieces[piece[0]];
  free_pieces[piece[0]] = piece;
}

// Pieces lie at multiples of 16, and nothing of the agent's asks for more.
int posix_memalign(void **memory, size_t alignment, size_t count) {
  if (alignment > header) return 22;
  *memory = allocate(count);
  return *memory ? 0 : 12;
}

void *malloc(size_t count) { return allocate(count); }
