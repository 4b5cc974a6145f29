"""What goes into every machine: the suite's programs compiled, its scripts, and generated texts and sources."""
import hashlib, inspect, io, os, random, shutil, subprocess, tarfile

from . import programs
from .debian import cache, say

HERE = os.path.dirname(os.path.abspath(__file__))
# Contraction is off so that results are the same bits on every processor.
FLAGS = ["-O2", "-ffp-contract=off", "-lm"]


def identity(program):
    """Changes whenever what a program does changes: figures are comparable only while it is the same."""
    text = repr(program)
    for folder in ("kernels", "programs"):
        for name in sorted(os.listdir(f"{HERE}/{folder}")):
            # A real program's line names its script; one of the small programs is called by its group.
            if f"{folder}/{name}" in program.run or (folder == "kernels" and program.group in ("integer", "float", "system")):
                text += open(f"{HERE}/{folder}/{name}").read()
    return hashlib.sha256((text + inspect.getsource(texts) + inspect.getsource(source)
                           + inspect.getsource(statement)).encode()).hexdigest()[:16]


def require(tree, in_tree):
    """The payload for the guest, a raw disk that is a tar archive, and natively, a folder of the tree.

    `in_tree` runs a command in the tree of amd64 packages, whose compilers have the guest's compiler's version.
    """
    sources = {}
    for folder, _, names in os.walk(HERE):
        for name in names:
            if not name.endswith(".pyc"):
                path = os.path.join(folder, name)
                sources[os.path.relpath(path, HERE)] = open(path, "rb").read()
    key = hashlib.sha256(repr(sorted(sources.items())).encode() + os.fsencode(tree)).hexdigest()[:16]
    disk, native = os.path.join(cache(), "payload.tar"), os.path.join(tree, "suite")
    stamp = os.path.join(cache(), "payload.key")
    if os.path.exists(stamp) and open(stamp).read() == key:
        return disk
    say("compiling the suite's programs")
    shutil.rmtree(native, ignore_errors=True)
    os.makedirs(f"{native}/kernels")
    files = {f"programs/{name}": sources[f"programs/{name}"] for name in os.listdir(f"{HERE}/programs")}
    jobs = [programs.parallel(jobs) for jobs in (1, 2, 4)]
    functions = programs.shell_functions(programs.all_programs() + jobs)
    files |= {"driver.sh": sources["driver.sh"], "programs.sh": functions.encode()}
    files |= {name: data.encode() for name, data in texts().items()}
    for name, data in files.items():
        os.makedirs(os.path.dirname(f"{native}/{name}"), exist_ok=True)
        open(f"{native}/{name}", "wb").write(data)
    for name in os.listdir(f"{HERE}/kernels"):
        shutil.copy(f"{HERE}/kernels/{name}", f"{native}/kernels/{name}")
    for name in ("integer", "float", "system"):
        for compiler, target in (("gcc", name), ("riscv64-linux-gnu-gcc", f"kernels/{name}.riscv64")):
            command = [compiler, f"kernels/{name}.c", "-o", target] + FLAGS
            subprocess.run(in_tree("cd /suite && PATH=/usr/bin:/bin exec " + " ".join(command)), check=True)
    with tarfile.open(disk, "w") as archive:
        for name, data in files.items():
            add(archive, name, data)
        for name in ("integer", "float", "system"):
            add(archive, name, open(f"{native}/kernels/{name}.riscv64", "rb").read(), 0o755)
    with open(stamp, "w") as file:
        file.write(key)
    return disk


def add(archive, name, data, mode=0o644):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(data), mode
    archive.addfile(entry, io.BytesIO(data))


def texts():
    """Generated inputs, the same every time."""
    chance = random.Random(1)
    syllables = ["ka", "the", "of", "in", "ing", "ver", "la", "ro", "sti", "en", "an", "ou", "dom", "tre", "ai", "per"]
    vocabulary = ["the", "of", "and", "a"] * 40 + [
        "".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(4000)]

    def line():
        words = chance.choices(vocabulary, k=chance.randint(4, 14))
        if chance.random() < 0.2:
            words.append(f"{chance.randint(0, 9999)}-{chance.randint(0, 99)}")
        return " ".join(words) + "\n"

    small = "".join(line() for _ in range(8000))
    large = small + "".join(line() for _ in range(40000))
    words = "\n".join(chance.choices(large.split(), k=60000)) + "\n"
    files = {"text.small": small, "text.large": large, "words": words, "generated.c": source(1, 10, main=True)}
    names = [f"part{number}" for number in range(16)]
    for number, name in enumerate(names):
        files[f"project/{name}.c"] = source(number + 2, 3, prefix=name)
    calls = "".join(f"  sum = sum * 31 + {name}_run(sum);\n" for name in names)
    declarations = "".join(f"unsigned long {name}_run(unsigned long);\n" for name in names)
    files["project/main.c"] = ("#include <stdio.h>\n" + declarations + "int main(void) {\n  unsigned long sum = 1;\n"
                               + calls + '  printf("%lx\\n", sum);\n  return 0;\n}\n')
    objects = " ".join(f"{name}.o" for name in names + ["main"])
    files["project/Makefile"] = (f"program: {objects}\n\tgcc -o $@ $^\n%.o: %.c\n\tgcc -O1 -c -o $@ $<\n"
                                 f"clean:\n\trm -f {objects} program\n.PHONY: clean\n")
    return files


def source(seed, functions, prefix="f", main=False):
    """A C file of functions with loops, switches, arrays and structures; no two are alike."""
    chance = random.Random(seed)
    text = "#include <stdio.h>\n#include <string.h>\nstruct item { unsigned long key; unsigned count; unsigned char tag[8]; };\n"
    for number in range(functions):
        text += (f"static unsigned long {prefix}{number}(unsigned long x, struct item *items, unsigned n) {{\n"
                 f"  unsigned long a = x * {chance.randint(3, 99)}, b = {chance.randint(1, 1 << 20)}, c = n;\n"
                 f"  unsigned table[{chance.randint(4, 16) * 4}] = {{0}};\n")
        for _ in range(chance.randint(3, 6)):
            text += statement(chance, prefix, number)
        text += "  for (unsigned i = 0; i < sizeof table / sizeof *table; i++) a = a * 31 + table[i];\n"
        text += "  return a ^ b ^ c;\n}\n"
    name = "main_run" if main else f"{prefix}_run"
    text += f"unsigned long {name}(unsigned long x) {{\n  struct item items[16] = {{{{0}}}};\n"
    text += "".join(f"  x += {prefix}{number}(x, items, 16);\n" for number in range(functions)) + "  return x;\n}\n"
    if main:
        text += 'int main(void) {\n  printf("%lx\\n", main_run(5));\n  return 0;\n}\n'
    return text


def statement(chance, prefix, number):
    kind = chance.randrange(6)
    small, large = chance.randint(2, 30), chance.randint(100, 1 << 30)
    if kind == 0:
        return (f"  for (unsigned i = 0; i < n; i++) {{\n    items[i].key += a ^ (i * {large});\n"
                f"    if (items[i].key % {small} == 1) items[i].count++;\n    b += items[i].count;\n  }}\n")
    if kind == 1:
        cases = "".join(f"    case {case}: a {chance.choice('+-^|')}= {chance.randint(1, 1 << 24)}; "
                        f"c {chance.choice(['*=', '+=', '^='])} {chance.randint(3, 77)}; break;\n"
                        for case in range(chance.randint(3, 9)))
        return f"  switch ((a >> {small % 13}) & 15) {{\n{cases}    default: b ^= a >> 3;\n  }}\n"
    if kind == 2:
        return (f"  for (unsigned i = 0; i < 60; i++) {{\n    table[(a + i) % (sizeof table / sizeof *table)] += (unsigned)(b >> (i & 7));\n"
                f"    a = (a << {small % 7 + 1}) | (a >> {60 - small % 7});\n  }}\n")
    if kind == 3:
        return (f"  if (a > b) {{\n    unsigned long t = a - b;\n    while (t > {large}) t = t / {small} + (t & 3);\n    c += t;\n"
                f"  }} else if (c & 1) {{\n    b = b * {small} + a;\n  }} else {{\n    c ^= b << 2;\n  }}\n")
    if kind == 4:
        return (f"  for (unsigned i = 1; i < n; i++) {{\n    struct item *p = &items[i - 1], *q = &items[i];\n"
                f"    if (p->key > q->key) {{\n      struct item t = *p;\n      *p = *q;\n      *q = t;\n    }}\n"
                f"    q->tag[i & 7] ^= (unsigned char)(a >> {small});\n    c += q->tag[(i + 1) & 7];\n  }}\n")
    if number:
        return f"  if ((a & {chance.choice([3, 7, 1])}) == 0) a += {prefix}{chance.randrange(number)}(b & {small}, items, n / 2 + 1);\n"
    return f"  a += b * {small};\n"
