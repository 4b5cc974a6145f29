"""The programs of the suite: what each runs in a shell, and what it needs before."""
import collections

Program = collections.namedtuple("Program", "name group run prepare", defaults=["true"])

# Read before, so that a machine's first look at its disk is not measured.
PYTHON = "cat /usr/bin/python3.13 /usr/lib/python3.13/*.py /usr/lib/python3.13/*/*.py >/dev/null; python3 -c pass"


def read(*paths):
    return f"cat {' '.join(paths)} >/dev/null"


def real():
    yield Program("python-start", "real", "for i in 1 2 3 4; do python3 -c 'print(1)'; done", PYTHON)
    for name, script in (("nbody", "nbody"), ("fannkuch", "fannkuch"), ("objects", "objects"), ("json", "documents"),
                         ("re", "patterns")):
        yield Program(f"python-{name}", "real", f"python3 programs/{script}.py", PYTHON)
    yield Program("sqlite3", "real", "sqlite3 :memory: <programs/queries.sql",
                  read("/usr/bin/sqlite3", "/usr/lib/*/libsqlite3.so.0"))
    yield Program("zstd", "real", "zstd -6 -q -c text.large", read("/usr/bin/zstd", "text.large"))
    yield Program("unzstd", "real", "for i in 1 2 3 4 5 6; do zstd -d -q -c text.zst; done",
                  "zstd -6 -q -f text.large -o text.zst")
    yield Program("xz", "real", "xz -2 -T1 -c text.small", read("/usr/bin/xz", "/usr/lib/*/liblzma.so.5"))
    yield Program("gzip", "real", "gzip -6 -n -c text.large", read("/usr/bin/gzip"))
    # The processors' own instructions differ, so what is compared is what the compiled program prints.
    yield Program("gcc", "real", "gcc -O2 -o compiled generated.c && ./compiled",
                  read("/usr/libexec/gcc/*/14/cc1", "/usr/bin/*-as", "/usr/bin/*-ld*", "/usr/lib/*/lib*.so.*",
                       "/usr/libexec/gcc/*/14/collect2", "/usr/lib/gcc/*/14/*.a", "/usr/lib/*/libc.a"))
    yield Program("perl", "real", "perl programs/words.pl text.small", read("/usr/bin/perl"))
    yield Program("sort", "real", "LC_ALL=C sort -S 64M words", read("/usr/bin/sort", "words"))
    yield Program("sha256sum", "real", "cat text.large text.large text.large text.large | sha256sum", read("/usr/bin/sha256sum", "/usr/lib/*/libcrypto.so.3"))
    key = "0123456789abcdef" * 4
    yield Program("openssl", "real",
                  f"openssl enc -aes-256-cbc -K {key} -iv {key[:32]} -in text.large | cat - text.large | openssl enc -aes-128-ctr "
                  f"-K {key[:32]} -iv {key[:32]}", read("/usr/bin/openssl"))
    # Its own archives hold times; a stream does not.
    yield Program("7z", "real", "7z a -txz -mx=1 -mmt=1 -si -so -an <text.small",
                  read("/usr/lib/7zip/7z", "/usr/lib/7zip/7z.so"))
    yield Program("dash", "real", "dash programs/loops.sh", read("/usr/bin/dash"))


INTEGER = {"sieve": 60, "quicksort": 60, "fib": 150, "indirect": 20000, "interpreter": 1500, "crc": 1200,
           "sha256": 60, "memcpy": 15000, "chase": 6000, "unaligned": 10000, "atomics": 14000}
FLOAT = {"matmul": 40, "fma": 30, "saxpy": 5000, "mandelbrot": 40, "nbody": 1000, "div-sqrt": 2000, "convert": 4000}
SYSTEM = {"syscall": 500, "pipe": 60, "fault": 25, "fork": 300, "exec": 50, "signal": 250, "rewrite": 300, "cold": 3}


def kernels(group, counts):
    for name, count in counts.items():
        yield Program(f"{group}-{name}", group, f"./{group} {name} {count}")


def system():
    for program in kernels("system", SYSTEM):
        if program.name == "system-cold":
            program = program._replace(run=f"for i in 1 2 3; do {program.run}; done")
        yield program
    yield Program("dd", "system", "dd if=/dev/zero bs=1 count=60000 2>/dev/null | wc -c", read("/usr/bin/dd"))
    yield Program("find", "system", "for i in 1 2 3; do find tree -type f -name '*7*' -size -2 | wc -l; done",
                  "mkdir -p tree/{1..40} && touch tree/{1..40}/{1..50}")


def all_programs():
    """Every program that is measured by the processor time it takes."""
    return [*real(), *kernels("integer", INTEGER), *kernels("float", FLOAT), *system()]


# Measured by the clock, with one processor and with several.
def parallel(jobs):
    return Program(f"make-j{jobs}", "smp", f"make -s -C project JOBS={jobs} -j{jobs} && project/program",
                   "make -s -C project clean; " + read("/usr/libexec/gcc/*/14/cc1", "/usr/bin/*-as", "/usr/bin/*-ld*",
                                                      "/usr/lib/*/lib*.so.*", "/usr/bin/make"))


def shell_functions(programs):
    """What driver.sh calls."""
    return "run_nothing() {\n  :\n}\n" + "".join(f"prepare_{program.name}() {{\n  {program.prepare}\n}}\n"
                   f"run_{program.name}() {{\n  {program.run}\n}}\n" for program in programs)
