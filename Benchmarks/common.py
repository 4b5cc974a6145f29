"""What the benchmarks share: processes, their memory, and archives for the guest's first process."""
import contextlib, os, re, select, time


class Failure(Exception):
    """A machine that did not do what it was asked for."""


def percent_b(data):
    """Bytes in the notation of printf's %b."""
    return "".join(f"\\0{byte:03o}" for byte in data)


def extra_memory(pid, guest_bytes):
    """Bytes of a process's memory that are not the guest's; None where that cannot be read.

    A page that is mapped twice, as generated code is, counts once: Pss divides it among its mappings.
    """
    try:
        with open(f"/proc/{pid}/smaps") as file:
            text = file.read()
    except OSError:
        return None
    total = guest = 0
    is_guest = False
    for line in text.splitlines():
        match = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)", line)
        if match:
            size = int(match[2], 16) - int(match[1], 16)
            # Volary maps a file in memory, perhaps in several views; QEMU one anonymous piece.
            is_guest = "guest" in match[3] or size == guest_bytes
        elif line.startswith("Pss:"):
            amount = int(line.split()[1]) * 1024
            total += amount
            guest += amount if is_guest else 0
    return total - guest


def child_named(parent, name, patience=10):
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError):
                stat = open(f"/proc/{pid}/stat").read()
                comm, rest = stat[stat.index("(") + 1:stat.rindex(")")], stat[stat.rindex(")") + 2:].split()
                if int(rest[1]) == parent and comm == name:
                    return int(pid)
        time.sleep(0.01)
    return None


def await_text(stream, text, patience):
    """Reads a pipe until it holds `text`."""
    said, deadline = b"", time.monotonic() + patience
    while text not in said:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise Failure(f"no {text!r} in {patience} s; it said {said[-500:]!r}")
        piece = os.read(stream.fileno(), 65536)
        if not piece:
            raise Failure(f"it ended without {text!r}; it said {said[-500:]!r}")
        said += piece
    return said


def cpio_entry(name, mode, content=b"", device=(0, 0)):
    """A file of an archive in the format that the kernel unpacks (newc)."""
    encoded = name.encode() + b"\0"
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(encoded), 0]
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def cpio_files(archive):
    """Names and contents of such an archive."""
    at = 0
    while archive[at:at + 6] == b"070701":
        size, name_size = (int(archive[at + 6 + 8 * field:at + 14 + 8 * field], 16) for field in (6, 11))
        name = archive[at + 110:at + 110 + name_size - 1].decode()
        content = at + 110 + name_size
        content += -content % 4
        yield name, archive[content:content + size]
        at = content + size
        at += -at % 4


def cpio_job(command):
    """The job of the guest's first process, as an archive after the initial RAM disk."""
    text = "mode=pipe\n" + "".join(f"arg={percent_b(word.encode())}\n" for word in command)
    return (cpio_entry("volary", 0o040755) + cpio_entry("volary/job", 0o100644, text.encode())
            + cpio_entry("TRAILER!!!", 0))
