// Integer kernels: what translated code does with registers, branches and memory.
#include "kernels.h"

// Flags of a million numbers, struck out prime by prime.
static uint64_t sieve(unsigned long repetitions) {
  enum { limit = 1 << 20 };
  static uint8_t composite[limit];
  uint64_t sum = 0;
  while (repetitions--) {
    memset(composite, 0, limit);
    for (uint32_t i = 2; i < limit; i++) {
      if (composite[i]) continue;
      sum = mix(sum, i);
      for (uint64_t k = (uint64_t)i * i; k < limit; k += i) composite[k] = 1;
    }
  }
  return sum;
}

static void sort_range(uint32_t *values, long low, long high) {
  while (low < high) {
    uint32_t pivot = values[(low + high) / 2];
    long i = low, k = high;
    while (i <= k) {
      while (values[i] < pivot) i++;
      while (values[k] > pivot) k--;
      if (i > k) break;
      uint32_t other = values[i];
      values[i++] = values[k];
      values[k--] = other;
    }
    if (k - low < high - i) {
      sort_range(values, low, k);
      low = i;
    } else {
      sort_range(values, i, high);
      high = k;
    }
  }
}

static uint64_t quicksort(unsigned long repetitions) {
  enum { count = 50000 };
  static uint32_t values[count];
  uint64_t sum = 0;
  while (repetitions--) {
    for (int i = 0; i < count; i++) values[i] = (uint32_t)next_random();
    sort_range(values, 0, count - 1);
    for (int i = 0; i < count; i += 97) sum = mix(sum, values[i]);
  }
  return sum;
}

// Calls and returns; the attributes keep the compiler from unrolling the recursion.
__attribute__((noinline, noclone, optimize("no-optimize-sibling-calls"))) static uint32_t fibonacci(uint32_t n) {
  return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static uint64_t fib(unsigned long repetitions) {
  uint64_t sum = 0;
  while (repetitions--) sum = mix(sum, fibonacci(24 + (repetitions & 1)));
  return sum;
}

#define STEP(n, expression) \
  __attribute__((noinline)) static uint64_t step##n(uint64_t x) { return expression; }
STEP(0, x + 13)
STEP(1, x ^ (x >> 7))
STEP(2, x * 9 + 1)
STEP(3, x - (x << 3))
STEP(4, (x << 5) | (x >> 59))
STEP(5, ~x + 77)
STEP(6, x ^ 0x5555)
STEP(7, x + (x >> 11))

// Calls through a table of functions, in an order that only the data knows.
static uint64_t indirect(unsigned long repetitions) {
  static uint64_t (*const steps[8])(uint64_t) = {step0, step1, step2, step3, step4, step5, step6, step7};
  uint64_t x = 1;
  for (unsigned long i = 0; i < repetitions * 1000; i++) x = steps[(x ^ i) & 7](x);
  return x;
}

// A machine of eleven operations, by a switch.
static uint64_t interpreter(unsigned long repetitions) {
  enum { ADD, SUB, XOR, SHIFT, LOAD, STORE, CONSTANT, MULTIPLY, LESS, JUMP_IF, END };
  static const uint8_t code[] = {
      CONSTANT, 0, 1, ADD, 1, 0, XOR, 2, 1, SHIFT, 2, 3, STORE, 2, 1, LOAD, 3, 1, MULTIPLY, 3, 1, SUB, 4, 3,
      XOR, 2, 4, LESS, 5, 1, JUMP_IF, 5, 3, END, 0, 0,
  };
  uint64_t memory[64] = {0}, sum = 0;
  while (repetitions--) {
    uint64_t r[8] = {0};
    r[6] = 2000;
    for (unsigned at = 0;;) {
      uint8_t a = code[at + 1], b = code[at + 2];
      switch (code[at]) {
        case ADD: r[a] += r[b]; break;
        case SUB: r[a] -= r[b]; break;
        case XOR: r[a] ^= r[b]; break;
        case SHIFT: r[a] = (r[a] << b) | (r[a] >> (64 - b)); break;
        case LOAD: r[a] = memory[r[b] & 63]; break;
        case STORE: memory[r[b] & 63] = r[a]; break;
        case CONSTANT: r[a] = b; break;
        case MULTIPLY: r[a] *= r[b] | 1; break;
        case LESS: r[a] = r[b] < r[6]; break;
        case JUMP_IF:
          if (r[a]) {
            at = b;
            continue;
          }
          break;
        case END: goto done;
      }
      at += 3;
    }
  done:
    for (int i = 0; i < 8; i++) sum = mix(sum, r[i]);
  }
  return sum;
}

static uint8_t text[1 << 16];
static void fill_text(void) {
  for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)(next_random() >> 40);
}

// Each step needs the table's answer to the one before.
static uint64_t crc(unsigned long repetitions) {
  static uint32_t table[256];
  for (uint32_t i = 0; i < 256; i++) {
    uint32_t c = i;
    for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  fill_text();
  uint32_t c = 0xffffffff;
  while (repetitions--)
    for (size_t i = 0; i < sizeof text; i++) c = table[(c ^ text[i]) & 0xff] ^ (c >> 8);
  return c;
}

static uint32_t rotate(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

// FIPS 180-4, 6.2.2, with the constants made by their definition: roots of the first primes.
static uint64_t sha256(unsigned long repetitions) {
  static uint32_t k[64];
  for (int i = 0, n = 2; i < 64; n++) {
    int prime = 1;
    for (int d = 2; d * d <= n; d++) prime &= n % d != 0;
    if (!prime) continue;
    // The first 32 bits of the fraction of the cube root, by bisection in integers.
    uint64_t low = 0, high = (uint64_t)8 << 32;
    while (high - low > 1) {
      uint64_t middle = (low + high) / 2;
      unsigned __int128 square = (unsigned __int128)middle * middle;
      int above = (square >> 64) * middle + (((square & UINT64_MAX) * middle) >> 64) >= (unsigned __int128)n << 32;
      if (above) high = middle; else low = middle;
    }
    k[i++] = (uint32_t)low;
  }
  fill_text();
  uint32_t h[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  while (repetitions--) {
    for (size_t at = 0; at < sizeof text; at += 64) {
      uint32_t w[64], s[8];
      for (int i = 0; i < 16; i++) {
        const uint8_t *p = text + at + 4 * i;
        w[i] = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
      }
      for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotate(a, 7) ^ rotate(a, 18) ^ (a >> 3)) + w[i - 7]
               + (rotate(b, 17) ^ rotate(b, 19) ^ (b >> 10));
      }
      memcpy(s, h, sizeof s);
      for (int i = 0; i < 64; i++) {
        uint32_t one = s[7] + (rotate(s[4], 6) ^ rotate(s[4], 11) ^ rotate(s[4], 25))
                       + ((s[4] & s[5]) ^ (~s[4] & s[6])) + k[i] + w[i];
        uint32_t two = (rotate(s[0], 2) ^ rotate(s[0], 13) ^ rotate(s[0], 22))
                       + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += one;
        s[0] = one + two;
      }
      for (int i = 0; i < 8; i++) h[i] += s[i];
    }
  }
  uint64_t sum = 0;
  for (int i = 0; i < 8; i++) sum = mix(sum, h[i]);
  return sum;
}

// The C library's own copying, of many sizes and alignments.
static uint64_t copy(unsigned long repetitions) {
  static uint8_t target[1 << 16];
  void *(*volatile copier)(void *, const void *, size_t) = memcpy;
  fill_text();
  uint64_t sum = 0;
  while (repetitions--) {
    for (size_t size = 1; size < 20000; size += size / 4 + 7) {
      size_t from = next_random() & 63, to = next_random() & 63;
      copier(target + to, text + from, size);
      sum = mix(sum, target[to + size / 2]);
    }
  }
  return sum;
}

struct node {
  struct node *next;
  uint64_t value;
};

// A list in random order over 4 MiB: a load that waits for the one before it.
static uint64_t chase(unsigned long repetitions) {
  enum { count = 1 << 18 };
  static struct node nodes[count];
  static uint32_t order[count];
  for (uint32_t i = 0; i < count; i++) order[i] = i;
  for (uint32_t i = count - 1; i > 0; i--) {
    uint32_t k = next_random() % (i + 1), other = order[i];
    order[i] = order[k];
    order[k] = other;
  }
  for (uint32_t i = 0; i < count; i++) {
    nodes[order[i]].next = &nodes[order[(i + 1) % count]];
    nodes[order[i]].value = i;
  }
  uint64_t sum = 0;
  struct node *node = nodes;
  for (unsigned long i = 0; i < repetitions * 1000; i++, node = node->next) sum = sum * 3 + node->value;
  return sum;
}

// Loads and stores of eight bytes at odd addresses, some across lines and pages.
static uint64_t unaligned(unsigned long repetitions) {
  typedef uint64_t __attribute__((may_alias)) word;
  fill_text();
  uint64_t sum = 0;
  while (repetitions--) {
    for (size_t i = 1; i + 8 <= sizeof text; i += 13) {
      word *volatile place = (word *)(text + i);
      word *at = place;
      sum += *at;
      *at = sum ^ i;
    }
  }
  return sum;
}

static uint64_t atomics(unsigned long repetitions) {
  static uint64_t counters[64];
  static uint32_t lock;
  uint64_t sum = 0;
  for (unsigned long i = 0; i < repetitions * 1000; i++) {
    sum += __atomic_fetch_add(&counters[i & 63], i, __ATOMIC_SEQ_CST);
    uint32_t expected = 0;
    while (!__atomic_compare_exchange_n(&lock, &expected, 1, 1, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) expected = 0;
    sum ^= __atomic_fetch_or(&counters[(i + 7) & 63], sum & 0xff, __ATOMIC_RELAXED);
    __atomic_store_n(&lock, 0, __ATOMIC_RELEASE);
  }
  return sum;
}

int main(int argc, char **argv) {
  static const struct kernel kernels[] = {
      {"sieve", sieve}, {"quicksort", quicksort}, {"fib", fib}, {"indirect", indirect},
      {"interpreter", interpreter}, {"crc", crc}, {"sha256", sha256}, {"memcpy", copy}, {"chase", chase},
      {"unaligned", unaligned}, {"atomics", atomics},
  };
  return run_kernel(kernels, sizeof kernels / sizeof *kernels, argc, argv);
}
