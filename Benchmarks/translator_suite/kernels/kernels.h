// What the small programs share: a table of named kernels, each run a number of times.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kernel {
  const char *name;
  uint64_t (*run)(unsigned long repetitions);
};

// A fixed sequence of numbers (xorshift64*), the same on every processor.
static uint64_t random_state = 88172645463325252u;
static inline uint64_t next_random(void) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * 2685821657736338717u;
}

static inline uint64_t mix(uint64_t sum, uint64_t value) { return (sum ^ value) * 1099511628211u; }

// Runs the kernel that argv[1] names argv[2] times, and prints its checksum.
static inline int run_kernel(const struct kernel *kernels, int count, int argc, char **argv) {
  for (int i = 0; argc == 3 && i < count; i++) {
    if (strcmp(argv[1], kernels[i].name)) continue;
    printf("%s %016llx\n", kernels[i].name, (unsigned long long)kernels[i].run(strtoul(argv[2], NULL, 10)));
    return 0;
  }
  fprintf(stderr, "usage: %s KERNEL REPETITIONS\n", argv[0]);
  return 2;
}
