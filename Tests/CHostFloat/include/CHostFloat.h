// The host's own floating-point arithmetic, as an oracle for SoftFloat's: each function does one
// operation on the real unit, in the rounding mode asked for, and reads the flags it raised.
//
// Values are bit patterns. `rounding` has RISC-V's encoding, but only 0 to 3 exist on this unit: to
// nearest even, toward zero, down, up. `flags` has RISC-V's encoding as well.
#ifndef VOLARY_CHOSTFLOAT_H
#define VOLARY_CHOSTFLOAT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
  uint64_t bits;
  uint8_t flags;
} volary_float_result;

typedef enum {
  VOLARY_FLOAT_ADD,
  VOLARY_FLOAT_SUB,
  VOLARY_FLOAT_MUL,
  VOLARY_FLOAT_DIV,
  VOLARY_FLOAT_SQRT,
  VOLARY_FLOAT_FMA,
} volary_float_operation;

/// Whether fused multiply-add runs on the unit; without, it is the C library's fma().
bool volary_float_has_fma(void);

/// One arithmetic operation; those of fewer operands ignore the rest.
volary_float_result volary_float_arithmetic64(volary_float_operation operation, uint8_t rounding,
                                              uint64_t a, uint64_t b, uint64_t c);
volary_float_result volary_float_arithmetic32(volary_float_operation operation, uint8_t rounding,
                                              uint32_t a, uint32_t b, uint32_t c);

/// Compares; in `bits`, bit 0 is unordered, bit 1 equal, bit 2 less, none of them greater. The quiet form raises invalid for a
/// signaling NaN alone, the other for any NaN.
volary_float_result volary_float_compare64(bool quiet, uint64_t a, uint64_t b);
volary_float_result volary_float_compare32(bool quiet, uint32_t a, uint32_t b);

/// Between the formats.
volary_float_result volary_float_narrow(uint8_t rounding, uint64_t a);
volary_float_result volary_float_widen(uint32_t a);

/// To a signed 64-bit integer; out of range and for NaNs the unit raises invalid.
volary_float_result volary_float_to_int64(bool is64, uint8_t rounding, uint64_t a);
/// From a signed or unsigned 64-bit integer to the format.
volary_float_result volary_float_from_int64(bool is64, uint8_t rounding, int64_t value);
volary_float_result volary_float_from_uint64(bool is64, uint8_t rounding, uint64_t value);

/// The C library's round() and roundf(): to an integral value, ties away from zero.
uint64_t volary_float_round_ties_away64(uint64_t a);
uint32_t volary_float_round_ties_away32(uint32_t a);

#endif
