// The host's floating-point arithmetic with its rounding modes and exception flags.
