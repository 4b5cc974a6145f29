"""Figures as tables in Markdown."""
import math, statistics

TITLES = {"real": "real programs", "integer": "integer", "float": "floating point", "system": "system"}


def geomean(values):
    return math.exp(statistics.mean(math.log(value) for value in values))


def seconds(value):
    if value is None:
        return "–"
    return f"{value * 1000:.1f} ms" if value < 0.1 else f"{value:.2f} s"


def ratio(a, b):
    return f"{a / b:.2f}" if a and b else "–"


class Figures:
    """Samples by engine and program, and what each wrote."""

    def __init__(self):
        self.samples, self.outputs, self.failures = {}, {}, {}

    def add(self, engine, program, value):
        self.samples.setdefault(engine, {}).setdefault(program, []).append(value)

    def fail(self, engine, program, why):
        self.failures.setdefault(program, {})[engine] = why

    def median(self, engine, program):
        values = self.samples.get(engine, {}).get(program)
        return statistics.median(values) if values else None

    def check(self, engine, program, output):
        """Notes what a program wrote; the same name's output is to be the same everywhere."""
        self.outputs.setdefault(program, {}).setdefault(engine, set()).add(output)

    def wrong(self, program, engine):
        """Whether an engine's output differs from native's, or is missing."""
        if engine in self.failures.get(program, {}):
            return True
        outputs = self.outputs.get(program, {})
        truth = outputs.get("native")
        return truth is not None and engine in outputs and outputs[engine] != truth

    def valid(self, engine, program):
        """The median of a program whose output is right."""
        return None if self.wrong(program, engine) else self.median(engine, program)

    def better_qemu(self, qemus, program):
        times = [self.valid(name, program) for name in qemus]
        return min((value for value in times if value), default=None)


def class_table(figures, programs, volary, qemus):
    """A row a program: times, then how many times faster than QEMU and slower than native."""
    others = [name for name in volary[1:]]
    heads = (["program", "native"] + qemus + volary
             + (["QEMU/Volary"] if qemus else []) + [f"Volary/{name}" for name in others] + ["Volary/native"])
    rows, over_qemu, over_native, over_others = [], [], [], {name: [] for name in others}
    for program in programs:
        name = program.name
        native, ours = figures.median("native", name), figures.valid(volary[0], name)
        cells = [name, seconds(native)]
        for engine in qemus + volary:
            cells.append("WRONG" if figures.wrong(name, engine) else seconds(figures.median(engine, name)))
        best = figures.better_qemu(qemus, name)
        if qemus:
            cells.append(ratio(best, ours))
        if best and ours:
            over_qemu.append(best / ours)
        for other in others:
            theirs = figures.valid(other, name)
            cells.append(ratio(ours, theirs))
            if ours and theirs:
                over_others[other].append(ours / theirs)
        cells.append(ratio(ours, native))
        if ours and native:
            over_native.append(ours / native)
        rows.append(cells)
    summary = ["**geomean**"] + [""] * (1 + len(qemus) + len(volary))
    summary += [mean(over_qemu)] if qemus else []
    summary += [mean(over_others[name]) for name in others] + [mean(over_native)]
    return table(heads, rows + [summary]), over_qemu, over_native


def mean(values):
    return f"**{geomean(values):.2f}**" if values else "–"


def table(heads, rows):
    lines = ["| " + " | ".join(heads) + " |", "| " + " | ".join("---" for _ in heads) + " |"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def machine_table(figures, volary, qemus):
    """Boot and memory: a row an engine."""
    rows = []
    for engine in volary + qemus:
        wall, busy, extra = (figures.median(engine, name) for name in ("boot", "boot-cpu", "memory"))
        if wall is None:
            failure = figures.failures.get("boot", {}).get(engine)
            rows.append([engine, f"FAILED: {failure}" if failure else "–", "–", "–"])
            continue
        rows.append([engine, seconds(wall), seconds(busy), f"{extra / 2**20:.1f} MiB" if extra is not None else "root only"])
    return table(["", "to the first line of user space", "processor time", "memory beyond the guest's"], rows)


def parallel_table(figures, engines, counts):
    """`make` with one processor and with more, by the clock."""
    rows = []
    for engine in engines:
        times = [figures.median(engine, f"make-{count}") for count in counts]
        cells = ["WRONG" if figures.wrong(f"make-{count}", engine) else seconds(time) for count, time in zip(counts, times)]
        rows.append([engine] + cells + [ratio(times[0], time) for time in times[1:]])
    heads = [""] + [f"{count} CPU{'s' if count > 1 else ''}" for count in counts]
    return table(heads + [f"1 against {count}" for count in counts[1:]], rows)
