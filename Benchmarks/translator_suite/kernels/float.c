// Floating-point kernels. Compiled without contraction, so that every processor rounds alike; the one that
// asks for fused multiplication and addition does so by name.
#include "kernels.h"
#include <math.h>

static uint64_t bits(double value) {
  uint64_t word;
  memcpy(&word, &value, sizeof word);
  return word;
}

static double next_double(void) { return (double)(next_random() >> 11) * 0x1p-53; }

enum { size = 96 };
static double a[size][size], b[size][size], c[size][size];

static void fill_matrices(void) {
  for (int i = 0; i < size; i++)
    for (int k = 0; k < size; k++) a[i][k] = next_double() - 0.5, b[i][k] = next_double() - 0.5;
}

static uint64_t matrix_sum(void) {
  uint64_t sum = 0;
  for (int i = 0; i < size; i++)
    for (int k = 0; k < size; k++) sum = mix(sum, bits(c[i][k]));
  return sum;
}

static uint64_t matmul(unsigned long repetitions) {
  fill_matrices();
  while (repetitions--) {
    for (int i = 0; i < size; i++)
      for (int j = 0; j < size; j++) {
        double sum = c[i][j] * 0.5;
        for (int k = 0; k < size; k++) sum += a[i][k] * b[k][j];
        c[i][j] = sum;
      }
  }
  return matrix_sum();
}

static uint64_t fused(unsigned long repetitions) {
  fill_matrices();
  while (repetitions--) {
    for (int i = 0; i < size; i++)
      for (int j = 0; j < size; j++) {
        double sum = c[i][j] * 0.5;
        for (int k = 0; k < size; k++) sum = fma(a[i][k], b[k][j], sum);
        c[i][j] = sum;
      }
  }
  return matrix_sum();
}

static uint64_t saxpy(unsigned long repetitions) {
  enum { length = 4096 };
  static float x[length], y[length];
  for (int i = 0; i < length; i++) x[i] = (float)next_double(), y[i] = (float)next_double();
  while (repetitions--) {
    float factor = (repetitions & 1) ? 0.37f : -0.36f;
    for (int i = 0; i < length; i++) y[i] = factor * x[i] + y[i];
  }
  uint64_t sum = 0;
  for (int i = 0; i < length; i++) sum = mix(sum, bits(y[i]));
  return sum;
}

static uint64_t mandelbrot(unsigned long repetitions) {
  enum { width = 64, limit = 200 };
  uint64_t sum = 0;
  while (repetitions--) {
    double shift = (double)(repetitions % 16) * 1e-3;
    for (int row = 0; row < width; row++)
      for (int column = 0; column < width; column++) {
        double cr = column * (3.0 / width) - 2.25 + shift, ci = row * (2.5 / width) - 1.25, zr = 0, zi = 0;
        int n = 0;
        for (; n < limit && zr * zr + zi * zi < 4; n++) {
          double next = zr * zr - zi * zi + cr;
          zi = 2 * zr * zi + ci;
          zr = next;
        }
        sum = mix(sum, (uint64_t)n);
      }
  }
  return sum;
}

static uint64_t nbody(unsigned long repetitions) {
  enum { bodies = 5 };
  static double position[bodies][3], velocity[bodies][3], mass[bodies];
  for (int i = 0; i < bodies; i++) {
    mass[i] = next_double() + 0.1;
    for (int k = 0; k < 3; k++) position[i][k] = next_double() * 10 - 5, velocity[i][k] = next_double() - 0.5;
  }
  for (unsigned long step = 0; step < repetitions * 100; step++) {
    for (int i = 0; i < bodies; i++)
      for (int j = i + 1; j < bodies; j++) {
        double d[3], square = 0.01;
        for (int k = 0; k < 3; k++) {
          d[k] = position[i][k] - position[j][k];
          square += d[k] * d[k];
        }
        double magnitude = 0.001 / (square * sqrt(square));
        for (int k = 0; k < 3; k++) {
          velocity[i][k] -= d[k] * mass[j] * magnitude;
          velocity[j][k] += d[k] * mass[i] * magnitude;
        }
      }
    for (int i = 0; i < bodies; i++)
      for (int k = 0; k < 3; k++) position[i][k] += 0.001 * velocity[i][k];
  }
  uint64_t sum = 0;
  for (int i = 0; i < bodies; i++)
    for (int k = 0; k < 3; k++) sum = mix(sum, bits(position[i][k]));
  return sum;
}

static uint64_t divide(unsigned long repetitions) {
  double x = 1.5, sum = 0;
  float y = 2.5f;
  for (unsigned long i = 1; i <= repetitions * 1000; i++) {
    x = sqrt(x * 3.0 + (double)i / 7.0);
    y = sqrtf(y / 1.25f + 3.0f);
    sum += 1.0 / x + y / (float)x;
  }
  return mix(bits(x), bits(sum)) ^ bits(y);
}

// Between integers and both formats, with roundings, comparisons and classes.
static uint64_t convert(unsigned long repetitions) {
  uint64_t sum = 0;
  double x = 0.1;
  for (unsigned long i = 1; i <= repetitions * 1000; i++) {
    x = x * 1.0001 + (double)(int64_t)(i * 2654435761u % 1000003) * 1e-3;
    float narrow = (float)x;
    int32_t small = (int32_t)narrow;
    int64_t large = (int64_t)(x * 1e3);
    sum += (uint64_t)large + (uint32_t)small;
    if (x > 1e5) x = (double)(float)(uint32_t)sum * 1e-8;
    if ((double)narrow < x) sum ^= 1;
  }
  return mix(sum, bits(x));
}

int main(int argc, char **argv) {
  static const struct kernel kernels[] = {
      {"matmul", matmul}, {"fma", fused}, {"saxpy", saxpy}, {"mandelbrot", mandelbrot}, {"nbody", nbody},
      {"div-sqrt", divide}, {"convert", convert},
  };
  return run_kernel(kernels, sizeof kernels / sizeof *kernels, argc, argv);
}
