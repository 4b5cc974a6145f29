// What programs ask of the kernel, and code that is new all the time.
#define _GNU_SOURCE
#include "kernels.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t calls(unsigned long repetitions) {
  uint64_t sum = 0;
  for (unsigned long i = 0; i < repetitions * 1000; i++) sum += syscall(SYS_getppid) > 0;
  return sum;
}

// Two processes that take turns.
static uint64_t ping_pong(unsigned long repetitions) {
  int there[2], back[2];
  if (pipe(there) || pipe(back)) return 0;
  pid_t child = fork();
  if (child == 0) {
    close(there[1]);
    uint32_t word;
    while (read(there[0], &word, sizeof word) == sizeof word) {
      word = word * 5 + 1;
      if (write(back[1], &word, sizeof word) != sizeof word) break;
    }
    _exit(0);
  }
  close(there[0]);
  uint32_t word = 7;
  for (unsigned long i = 0; i < repetitions * 100; i++) {
    if (write(there[1], &word, sizeof word) != sizeof word) return 0;
    if (read(back[0], &word, sizeof word) != sizeof word) return 0;
  }
  close(there[1]);
  waitpid(child, NULL, 0);
  return word;
}

// Fresh memory, touched a page at a time and given back.
static uint64_t faults(unsigned long repetitions) {
  enum { length = 4 << 20, page = 4096 };
  uint64_t sum = 0;
  while (repetitions--) {
    uint8_t *memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return 0;
    madvise(memory, length, MADV_NOHUGEPAGE);
    for (int i = 0; i < length; i += page) sum += ++memory[i];
    munmap(memory, length);
  }
  return sum;
}

static uint64_t forks(unsigned long repetitions) {
  uint64_t sum = 0;
  for (unsigned long i = 0; i < repetitions; i++) {
    pid_t child = fork();
    if (child == 0) _exit((int)(i & 63));
    int status = 0;
    if (waitpid(child, &status, 0) != child) return 0;
    sum = mix(sum, (uint64_t)WEXITSTATUS(status));
  }
  return sum;
}

static uint64_t executions(unsigned long repetitions) {
  uint64_t sum = 0;
  for (unsigned long i = 0; i < repetitions; i++) {
    pid_t child = fork();
    if (child == 0) {
      execl("/bin/true", "true", (char *)NULL);
      _exit(127);
    }
    int status = 1;
    if (waitpid(child, &status, 0) != child) return 0;
    sum = mix(sum, (uint64_t)WEXITSTATUS(status) + 1);
  }
  return sum;
}

static volatile sig_atomic_t taken;
static void take(int signal) { taken += signal == SIGUSR1; }

static uint64_t signals(unsigned long repetitions) {
  struct sigaction action = {.sa_handler = take};
  sigaction(SIGUSR1, &action, NULL);
  for (unsigned long i = 0; i < repetitions * 100; i++) raise(SIGUSR1);
  return (uint64_t)taken;
}

// Writes a function that returns `value` (15 bits).
static size_t write_function(uint8_t *place, uint32_t value) {
#if defined __riscv
  // lui a0, high; addi a0, a0, low; ret
  uint32_t code[3] = {(value + 0x800) >> 12 << 12 | 0x537, value << 20 | 0x50513, 0x8067};
  memcpy(place, code, sizeof code);
  return sizeof code;
#elif defined __x86_64__
  // mov eax, value; ret
  uint8_t code[6] = {0xb8, (uint8_t)value, (uint8_t)(value >> 8), 0, 0, 0xc3};
  memcpy(place, code, sizeof code);
  return sizeof code;
#else
#error "write_function knows riscv64 and x86-64 only"
#endif
}

typedef uint32_t (*function)(void);

static uint8_t *code_memory(size_t length) {
  void *memory = mmap(NULL, length, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) exit(1);
  return memory;
}

// A function that is written anew before every call.
static uint64_t rewrite(unsigned long repetitions) {
  uint8_t *code = code_memory(4096);
  uint64_t sum = 0;
  for (unsigned long i = 0; i < repetitions * 100; i++) {
    size_t length = write_function(code, (uint32_t)i & 0x7fff);
    __builtin___clear_cache((char *)code, (char *)code + length);
    sum = mix(sum, ((function)code)());
  }
  return sum;
}

// A quarter of a million instructions in a row, run once each time the program is started.
static uint64_t cold(unsigned long repetitions) {
  uint64_t x = repetitions, y = 12345;
#if defined __riscv
  __asm__ volatile(
      ".rept 30000\n"
      "addi %0, %0, 3\n"
      "xor %1, %1, %0\n"
      "slli t0, %0, 7\n"
      "bgeu t0, %1, 1f\n"
      "add %0, %0, t0\n"
      "1: srli t1, %1, 3\n"
      "sub %0, %0, t1\n"
      "add %1, %1, t1\n"
      ".endr\n"
      : "+r"(x), "+r"(y) : : "t0", "t1");
#elif defined __x86_64__
  __asm__ volatile(
      ".rept 30000\n"
      "add $3, %0\n"
      "xor %0, %1\n"
      "mov %0, %%rax\n"
      "shl $7, %%rax\n"
      "cmp %1, %%rax\n"
      "jae 1f\n"
      "add %%rax, %0\n"
      "1: mov %1, %%rdx\n"
      "shr $3, %%rdx\n"
      "sub %%rdx, %0\n"
      "add %%rdx, %1\n"
      ".endr\n"
      : "+r"(x), "+r"(y) : : "rax", "rdx", "cc");
#endif
  return mix(x, y);
}

int main(int argc, char **argv) {
  static const struct kernel kernels[] = {
      {"syscall", calls}, {"pipe", ping_pong}, {"fault", faults}, {"fork", forks}, {"exec", executions},
      {"signal", signals}, {"rewrite", rewrite}, {"cold", cold},
  };
  return run_kernel(kernels, sizeof kernels / sizeof *kernels, argc, argv);
}
