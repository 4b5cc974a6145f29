#!/usr/bin/env python3
"""What tests take from Debian: kernels for amd64 with their modules, busybox, firmware and a QEMU.

    debian.py 12|13     prints the folder that holds what the packages hold
"""
import json, lzma, os, re, shutil, subprocess, sys, tempfile

# The releases whose kernels are booted.
RELEASES = ("12", "13")
FETCH = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "scripts", "fetch-debian")


class Unavailable(Exception):
    """A package that cannot be had, in a line."""


def cache():
    """The folder that keeps what is downloaded once."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "volary", "nested")


def require(release):
    """Unpacks a release's kernel and busybox in the cache, unless they are there; returns their folder."""
    def finish(tree):
        root = f"{tree}/usr" if os.path.isdir(f"{tree}/usr/lib/modules") else tree
        run(["/sbin/depmod", "-b", root, os.listdir(f"{root}/lib/modules")[0]])

    # The first names the kernel's own package.
    return unpack(release, release, ["linux-image-cloud-amd64", "busybox-static"], "direct", finish)


def require_qemu():
    """Unpacks Debian 13's QEMU with all its libraries in the cache, unless it is there; returns the start of its
    command. Debian 12's loses a guest's flags at nested page faults."""
    return qemu_command(os.path.join(unpack("qemu", "13", ["qemu-system-x86"], "all"), "tree"))


def require_lenient_qemu():
    """As require_qemu(), for guests that set their task priority (CR8), as UEFI firmware does: QEMU's interpreter then
    asks that a lock is held which it did not take, and ends itself. Here it goes on."""
    command = require_qemu()
    program = next(word for word in command if word.endswith("/qemu-system-x86_64"))
    lenient = f"{program}.lenient"
    if not os.path.exists(lenient):
        with open(program, "rb") as file:
            code = bytearray(file.read())
        start = file_offset(program, "tcg_handle_interrupt")
        # test %al, %al; je to where the assertion fails.
        check = code.find(b"\x84\xc0\x74", start, start + 64)
        if check < 0:
            raise Unavailable("this QEMU's check of its lock was not found")
        code[check + 2:check + 4] = b"\x90\x90"
        with open(f"{lenient}.{os.getpid()}", "wb") as file:
            file.write(code)
        os.chmod(file.name, 0o755)
        os.rename(file.name, lenient)
    return [lenient if word == program else word for word in command]


def file_offset(program, symbol):
    """Where a function that a program exports is in its file."""
    def rows(option):
        return [line.split() for line in run(["readelf", "-W", option, program]).splitlines()]

    address = next(int(row[1], 16) for row in rows("--dyn-syms") if len(row) > 7 and row[7] == symbol)
    for row in rows("--program-headers"):
        if row[:1] == ["LOAD"]:
            offset, start, size = int(row[1], 16), int(row[2], 16), int(row[4], 16)
            if start <= address < start + size:
                return address - start + offset
    raise Unavailable(f"{program} has no {symbol}")


def require_firmware(release):
    """Unpacks a release's UEFI firmware and its GRUB for UEFI in the cache, unless they are there; returns their tree."""
    return os.path.join(unpack(f"firmware-{release}", release, ["ovmf", "grub-efi-amd64-signed"]), "tree")


def qemu_command(tree):
    """The start of the command of a QEMU that is unpacked in a tree, by the tree's own loader and libraries."""
    root = f"{tree}/usr"
    libraries = f"{root}/lib/x86_64-linux-gnu"
    return [f"{libraries}/ld-linux-x86-64.so.2", "--library-path", libraries, f"{root}/bin/qemu-system-x86_64",
            "-L", f"{root}/share/qemu", "-L", f"{root}/share/seabios"]


def unpack(name, release, packages, dependencies=None, finish=lambda tree: None):
    """Unpacks packages of a release below a name in the cache, unless they are there; returns their folder."""
    folder = os.path.join(cache(), name)
    if os.path.exists(f"{folder}/packages.json"):
        return folder
    os.makedirs(cache(), exist_ok=True)
    made = tempfile.mkdtemp(prefix="making.", dir=cache())
    tree = f"{made}/tree"
    along = ["--dependencies", dependencies] if dependencies else []
    try:
        run([FETCH, "--release", release] + along + [tree] + packages)
        finish(tree)
        with open(f"{tree}/.packages") as file:
            versions = dict(line.split() for line in file)
        with open(f"{made}/packages.json", "w") as file:
            json.dump(versions, file)
    except (OSError, subprocess.CalledProcessError) as error:
        shutil.rmtree(made, ignore_errors=True)
        words = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        raise Unavailable(words[-1].removeprefix("volary: ") if words else str(error))
    try:
        os.rename(made, folder)
    except OSError:
        # Another one was as quick.
        shutil.rmtree(made)
    return folder


def run(command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout


# MARK: what was unpacked

def tree(release):
    return os.path.join(cache(), release, "tree")


def kernel(release):
    """The path of the kernel."""
    boot = f"{tree(release)}/boot"
    return next(f"{boot}/{name}" for name in os.listdir(boot) if name.startswith("vmlinuz-"))


def busybox(release):
    return next(path for path in (f"{tree(release)}/bin/busybox", f"{tree(release)}/usr/bin/busybox")
                if os.path.exists(path))


def modules(release, names):
    """Modules with all that they need, in the order in which they are to be loaded: names and contents."""
    root = next(path for path in (f"{tree(release)}/usr/lib/modules", f"{tree(release)}/lib/modules")
                if os.path.isdir(path))
    folder = os.path.join(root, os.listdir(root)[0])
    needs = {}
    with open(f"{folder}/modules.dep") as file:
        for line in file:
            path, _, rest = line.partition(":")
            needs[name_of(path)] = (path, [name_of(other) for other in rest.split()])
    order = []

    def add(name):
        # What is not there is built into the kernel.
        if name in needs and name not in order:
            # The nearest comes last in what depmod writes.
            for other in reversed(needs[name][1]):
                add(other)
            order.append(name)

    for name in names:
        add(name)
    return [(name, content(os.path.join(folder, needs[name][0]))) for name in order]


def name_of(path):
    return re.sub(r"\.ko(\.xz)?$", "", os.path.basename(path)).replace("-", "_")


def content(path):
    with open(path, "rb") as file:
        data = file.read()
    return lzma.decompress(data) if path.endswith(".xz") else data


if __name__ == "__main__":
    if sys.argv[1:] not in [[release] for release in RELEASES]:
        sys.exit("usage: debian.py 12|13")
    try:
        require(sys.argv[1])
    except Unavailable as error:
        sys.exit(str(error))
    print(tree(sys.argv[1]))
