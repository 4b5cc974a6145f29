#include "CHostFloat.h"

#include <fenv.h>
#include <math.h>
#include <string.h>

#if !defined(__x86_64__)
#error "the oracle is written for the SSE and x87 units of x86-64"
#endif

// MARK: Control and status

// Exceptions masked, flags clear, the rounding field for 0 nearest even, 1 zero, 2 down, 3 up.
static const uint32_t rounding_fields[4] = {0, 3, 1, 2};

static uint32_t mxcsr_for(uint8_t rounding) { return 0x1F80 | rounding_fields[rounding & 3] << 13; }

static uint16_t x87_control_for(uint8_t rounding) {
  return (uint16_t)(0x033F | 0x0040 | rounding_fields[rounding & 3] << 10);
}

// MXCSR and the x87 status word agree: bits 0 invalid, 1 denormal operand, 2 zero divide,
// 3 overflow, 4 underflow, 5 precision.
static uint8_t riscv_flags(uint32_t status) {
  return (uint8_t)((status >> 5 & 1) | (status >> 4 & 1) << 1 | (status >> 3 & 1) << 2 |
                   (status >> 2 & 1) << 3 | (status & 1) << 4);
}

static double as_double(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static float as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static uint64_t bits_of_double(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static uint32_t bits_of_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

// The operation and both changes of the control register are one volatile block, so that no
// compiler can fold it, or move it out from under its rounding mode.
#define WITH_MXCSR(instructions, output, ...)                                              \
  uint32_t saved, status, control = mxcsr_for(rounding);                                    \
  __asm__ volatile("stmxcsr %[saved]\n\tldmxcsr %[control]\n\t" instructions                \
                   "\n\tstmxcsr %[status]\n\tldmxcsr %[saved]"                              \
                   : output, [saved] "=m"(saved), [status] "=m"(status)                    \
                   : [control] "m"(control), __VA_ARGS__                                    \
                   : "memory", "cc")

// MARK: Arithmetic

#define BINARY(name, type, instruction)                                                     \
  static type name(uint8_t rounding, type a, type b, uint8_t *flags) {                      \
    WITH_MXCSR(instruction " %[b], %[a]", [a] "+x"(a), [b] "x"(b));                         \
    *flags = riscv_flags(status);                                                           \
    return a;                                                                               \
  }
BINARY(add64, double, "addsd")
BINARY(sub64, double, "subsd")
BINARY(mul64, double, "mulsd")
BINARY(div64, double, "divsd")
BINARY(sqrt64, double, "sqrtsd")
BINARY(add32, float, "addss")
BINARY(sub32, float, "subss")
BINARY(mul32, float, "mulss")
BINARY(div32, float, "divss")
BINARY(sqrt32, float, "sqrtss")

bool volary_float_has_fma(void) { return __builtin_cpu_supports("fma"); }

static double unit_fma64(uint8_t rounding, double a, double b, double c, uint8_t *flags) {
  WITH_MXCSR("vfmadd213sd %[c], %[b], %[a]", [a] "+x"(a), [b] "x"(b), [c] "x"(c));
  *flags = riscv_flags(status);
  return a;
}

static float unit_fma32(uint8_t rounding, float a, float b, float c, uint8_t *flags) {
  WITH_MXCSR("vfmadd213ss %[c], %[b], %[a]", [a] "+x"(a), [b] "x"(b), [c] "x"(c));
  *flags = riscv_flags(status);
  return a;
}

static const int library_roundings[4] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

static uint8_t library_flags(void) {
  int raised = fetestexcept(FE_ALL_EXCEPT);
  return (uint8_t)((raised & FE_INEXACT ? 1 : 0) | (raised & FE_UNDERFLOW ? 2 : 0) |
                   (raised & FE_OVERFLOW ? 4 : 0) | (raised & FE_DIVBYZERO ? 8 : 0) |
                   (raised & FE_INVALID ? 16 : 0));
}

static double library_fma64(uint8_t rounding, double a, double b, double c, uint8_t *flags) {
  fenv_t saved;
  volatile double x = a, y = b, z = c, result;
  feholdexcept(&saved);
  fesetround(library_roundings[rounding & 3]);
  result = fma(x, y, z);
  *flags = library_flags();
  fesetenv(&saved);
  return result;
}

static float library_fma32(uint8_t rounding, float a, float b, float c, uint8_t *flags) {
  fenv_t saved;
  volatile float x = a, y = b, z = c, result;
  feholdexcept(&saved);
  fesetround(library_roundings[rounding & 3]);
  result = fmaf(x, y, z);
  *flags = library_flags();
  fesetenv(&saved);
  return result;
}

volary_float_result volary_float_arithmetic64(volary_float_operation operation, uint8_t rounding,
                                              uint64_t a_bits, uint64_t b_bits, uint64_t c_bits) {
  double a = as_double(a_bits), b = as_double(b_bits), c = as_double(c_bits), value = 0;
  volary_float_result result = {0};
  switch (operation) {
    case VOLARY_FLOAT_ADD: value = add64(rounding, a, b, &result.flags); break;
    case VOLARY_FLOAT_SUB: value = sub64(rounding, a, b, &result.flags); break;
    case VOLARY_FLOAT_MUL: value = mul64(rounding, a, b, &result.flags); break;
    case VOLARY_FLOAT_DIV: value = div64(rounding, a, b, &result.flags); break;
    case VOLARY_FLOAT_SQRT: value = sqrt64(rounding, 0, a, &result.flags); break;
    case VOLARY_FLOAT_FMA:
      value = volary_float_has_fma() ? unit_fma64(rounding, a, b, c, &result.flags)
                                     : library_fma64(rounding, a, b, c, &result.flags);
      break;
  }
  result.bits = bits_of_double(value);
  return result;
}

volary_float_result volary_float_arithmetic32(volary_float_operation operation, uint8_t rounding,
                                              uint32_t a_bits, uint32_t b_bits, uint32_t c_bits) {
  float a = as_float(a_bits), b = as_float(b_bits), c = as_float(c_bits), value = 0;
  volary_float_result result = {0};
  switch (operation) {
    case VOLARY_FLOAT_ADD: value = add32(rounding, a, b, &result.flags); break;
    case VOLARY_FLOAT_SUB: value = sub32(rounding, a, b, &result.flags); break;
    case VOLARY_FLOAT_MUL: value = mul32(rounding, a, b, &result.flags); break;
    case VOLARY_FLOAT_DIV: value = div32(rounding, a, b, &result.flags); break;
    case VOLARY_FLOAT_SQRT: value = sqrt32(rounding, 0, a, &result.flags); break;
    case VOLARY_FLOAT_FMA:
      value = volary_float_has_fma() ? unit_fma32(rounding, a, b, c, &result.flags)
                                     : library_fma32(rounding, a, b, c, &result.flags);
      break;
  }
  result.bits = bits_of_float(value);
  return result;
}

// MARK: Comparison

// (u)comis sets ZF when equal, CF when less, and both with PF when unordered; lahf brings them to
// bits 14, 8 and 10 of eax.
#define COMPARE(name, type, instruction)                                                    \
  static volary_float_result name(type a, type b) {                                         \
    const uint8_t rounding = 0;                                                             \
    uint32_t order;                                                                         \
    WITH_MXCSR(instruction " %[b], %[a]\n\tlahf", [order] "=&a"(order), [a] "x"(a), [b] "x"(b)); \
    volary_float_result result = {.flags = riscv_flags(status)};                            \
    result.bits = order >> 10 & 1 ? 1 : (order >> 14 & 1) << 1 | (order >> 8 & 1) << 2;      \
    return result;                                                                          \
  }
COMPARE(ucomi64, double, "ucomisd")
COMPARE(comi64, double, "comisd")
COMPARE(ucomi32, float, "ucomiss")
COMPARE(comi32, float, "comiss")

volary_float_result volary_float_compare64(bool quiet, uint64_t a, uint64_t b) {
  return quiet ? ucomi64(as_double(a), as_double(b)) : comi64(as_double(a), as_double(b));
}

volary_float_result volary_float_compare32(bool quiet, uint32_t a, uint32_t b) {
  return quiet ? ucomi32(as_float(a), as_float(b)) : comi32(as_float(a), as_float(b));
}

// MARK: Conversion

#define CONVERT(name, from, to, kind, instruction)                                          \
  static to name(uint8_t rounding, from a, uint8_t *flags) {                                \
    to result;                                                                              \
    WITH_MXCSR(instruction " %[a], %[result]", [result] kind(result), [a] "x"(a));          \
    *flags = riscv_flags(status);                                                           \
    return result;                                                                          \
  }
CONVERT(convert_64_32, double, float, "=x", "cvtsd2ss")
CONVERT(convert_32_64, float, double, "=x", "cvtss2sd")
CONVERT(convert_64_int, double, int64_t, "=&r", "cvtsd2siq")
CONVERT(convert_32_int, float, int64_t, "=&r", "cvtss2siq")

volary_float_result volary_float_narrow(uint8_t rounding, uint64_t a) {
  volary_float_result result = {0};
  result.bits = bits_of_float(convert_64_32(rounding, as_double(a), &result.flags));
  return result;
}

volary_float_result volary_float_widen(uint32_t a) {
  volary_float_result result = {0};
  result.bits = bits_of_double(convert_32_64(0, as_float(a), &result.flags));
  return result;
}

volary_float_result volary_float_to_int64(bool is64, uint8_t rounding, uint64_t a) {
  volary_float_result result = {0};
  result.bits = (uint64_t)(is64 ? convert_64_int(rounding, as_double(a), &result.flags)
                                : convert_32_int(rounding, as_float((uint32_t)a), &result.flags));
  return result;
}

volary_float_result volary_float_from_int64(bool is64, uint8_t rounding, int64_t value) {
  volary_float_result result = {0};
  if (is64) {
    double converted;
    WITH_MXCSR("cvtsi2sdq %[a], %[result]", [result] "=x"(converted), [a] "r"(value));
    result.bits = bits_of_double(converted);
    result.flags = riscv_flags(status);
  } else {
    float converted;
    WITH_MXCSR("cvtsi2ssq %[a], %[result]", [result] "=x"(converted), [a] "r"(value));
    result.bits = bits_of_float(converted);
    result.flags = riscv_flags(status);
  }
  return result;
}

// SSE has no conversion from unsigned integers. An x87 register holds every 64-bit integer exactly,
// and its store rounds it.
#define STORE_X87(instruction, destination)                                                   \
  __asm__ volatile("fnstcw %[saved]\n\tfnclex\n\tfldcw %[control]\n\tfldt %[a]\n\t" instruction \
                   " %[result]\n\tfnstsw %[status]\n\tfnclex\n\tfldcw %[saved]"                \
                   : [result] "=m"(destination), [saved] "=m"(saved), [status] "=m"(status)   \
                   : [control] "m"(control), [a] "m"(extended)                                \
                   : "memory")

volary_float_result volary_float_from_uint64(bool is64, uint8_t rounding, uint64_t value) {
  uint16_t saved, status, control = x87_control_for(rounding);
  volary_float_result result = {0};
  long double extended = (long double)value;
  if (is64) {
    double converted;
    STORE_X87("fstpl", converted);
    result.bits = bits_of_double(converted);
  } else {
    float converted;
    STORE_X87("fstps", converted);
    result.bits = bits_of_float(converted);
  }
  result.flags = riscv_flags(status);
  return result;
}

uint64_t volary_float_round_ties_away64(uint64_t a) {
  volatile double value = as_double(a);
  return bits_of_double(round(value));
}

uint32_t volary_float_round_ties_away32(uint32_t a) {
  volatile float value = as_float(a);
  return bits_of_float(roundf(value));
}
