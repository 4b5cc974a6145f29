"""The engines: each starts something that runs the suite's programs and tells the processor time it took."""
import contextlib, os, re, select, shlex, socket, subprocess, tempfile, time

from common import Failure, await_text, child_named, cpio_job, extra_memory
from . import debian

MEMORY = 1024
START = ["bash", "-c", "mkdir -p /tmp/suite && cd /tmp/suite && tar -xf /dev/vdb && exec bash driver.sh"]
COMMAND_LINE = "root=/dev/vda rootfstype=ext4 rw console=ttyS0 panic=-1 quiet volary.ip=none thp_anon=16K-64K:always"
BOOT_MEMORY = 512
FIRST_LINE = b"the first line of user space"


def processor_time(pids):
    """Seconds that processes and all threads they ever had have run, from their own clocks (clock_getcpuclockid(3))."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)


class Session:
    """A driver (driver.sh) that waits for requests."""

    def __init__(self, process, requests, answers, pids):
        self.process, self.requests, self.answers, self.pids = process, requests, answers, pids
        self.said = b""

    def line(self, patience):
        """The driver's next line."""
        deadline = time.monotonic() + patience
        while b"\n" not in self.said:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.answers], [], [], left)[0]:
                raise Failure(f"no answer in {patience} s; it said {self.said[-300:]!r}")
            piece = os.read(self.answers.fileno(), 65536)
            if not piece:
                raise Failure(f"it ended; it said {self.said[-300:]!r}")
            self.said += piece
        line, _, self.said = self.said.partition(b"\n")
        return line.decode(errors="replace").split(" ", 3)

    def ask(self, request, answer, patience):
        try:
            self.requests.write(request.encode() + b"\n")
            self.requests.flush()
        except OSError as error:
            raise Failure(f"it ended: {error}") from error
        words = self.line(patience)
        if words[0] != answer:
            raise Failure(f"it answered {words} to {request!r}")
        return words[1:]

    def prepare(self, name):
        if self.ask(f"prepare {name}", "prepared", 300)[0] != "0":
            raise Failure(f"it could not prepare {name}")

    def measure(self, name, patience=120):
        """Processor and wall seconds of a program, and its status."""
        before, started = processor_time(self.pids), time.monotonic()
        status = self.ask(f"run {name} 1", "ended", patience)[0]
        return processor_time(self.pids) - before, time.monotonic() - started, status

    def output(self):
        """The checksum of what the last program wrote, and its errors."""
        words = self.ask("check", "output", 120)
        return words[0], " ".join(words[1:])

    def close(self):
        """Ends the machine, by force where it does not end by itself."""
        with contextlib.suppress(OSError):
            self.requests.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Volary:
    """The programs of a folder; their front end counts too, because QEMU has its work in one process."""

    def __init__(self, programs, name="Volary"):
        self.programs, self.name = programs, name

    def start(self, payload, cpus=1):
        process = subprocess.Popen(
            [f"{self.programs}/volary", "run", debian.IMAGE, "--cpus", str(cpus), "--memory", f"{MEMORY}MiB",
             "--network", "none", "--disk-image", payload, "--"] + START,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"VOLARY_DATA": debian.store()})
        session = Session(process, process.stdin, process.stdout, [process.pid])
        session.line(300)
        session.pids.append(child_named(process.pid, "volary-machine"))
        return session

    def boot(self, initrd):
        """Wall seconds to the first line of user space, processor seconds, and bytes beyond the guest's memory."""
        started = time.monotonic()
        process = subprocess.Popen(
            [f"{self.programs}/volary", "run", "--kernel", f"{debian.image()}/kernel", "--initrd", initrd, "--memory",
             f"{BOOT_MEMORY}MiB", "--network", "none", "--append", "console=ttyS0 quiet", "--console", "serial"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        await_text(process.stdout, FIRST_LINE, 120)
        wall = time.monotonic() - started
        machine = child_named(process.pid, "volary-machine")
        return boot_figures(process, [process.pid, machine], machine, wall)


class QEMU:
    """A qemu-system-riscv64, given the same kernel, initial RAM disk and disks; the job comes by the same ports."""

    def __init__(self, command, name, environment=()):
        self.command, self.name, self.environment = command, name, os.environ | dict(environment)

    def start(self, payload, cpus=1):
        self.folder = folder = tempfile.TemporaryDirectory()
        initrd = os.path.join(folder.name, "initrd")
        with open(initrd, "wb") as file:
            data = open(f"{debian.image()}/initrd", "rb").read()
            file.write(data + bytes(-len(data) % 4) + cpio_job(START))
        listeners, ports = {}, []
        for name in ("control", "stdin", "stdout", "stderr"):
            path = os.path.join(folder.name, name)
            listeners[name] = socket.socket(socket.AF_UNIX)
            listeners[name].bind(path)
            listeners[name].listen()
            ports += ["-chardev", f"socket,id={name},path={path}",
                      "-device", f"virtserialport,chardev={name},name=org.volary.{name}"]
        process = subprocess.Popen(
            self.command + [
                "-M", "virt", "-accel", "tcg", "-display", "none", "-no-reboot", "-monitor", "none", "-serial", "null",
                "-smp", str(cpus), "-m", str(MEMORY), "-kernel", f"{debian.image()}/kernel", "-initrd", initrd,
                "-append", COMMAND_LINE,
                "-drive", f"file={debian.image()}/disk.raw,format=raw,if=none,id=a,snapshot=on",
                "-device", "virtio-blk-device,drive=a",
                "-drive", f"file={payload},format=raw,if=none,id=b,read-only=on", "-device", "virtio-blk-device,drive=b",
                "-device", "virtio-rng-device",
                "-device", "virtio-serial-device"] + ports, stdin=subprocess.DEVNULL,
            stderr=self.errors(), env=self.environment)
        ends = {}
        for name, listener in listeners.items():
            listener.settimeout(30)
            ends[name] = listener.accept()[0]
        session = Session(process, ends["stdin"].makefile("wb"), ends["stdout"].makefile("rb", buffering=0), [process.pid])
        # Kept: a port whose other end is gone loses what comes.
        session.ends = ends
        session.line(300)
        return session

    def errors(self):
        """Where its words go; Debian 13's, out of its place, has some to say about modules that it does not need."""
        return open(os.path.join(debian.cache(), f"{self.name.lower().replace(' ', '-')}.log"), "wb")

    def boot(self, initrd):
        started = time.monotonic()
        process = subprocess.Popen(
            self.command + ["-M", "virt", "-accel", "tcg", "-display", "none", "-no-reboot", "-monitor", "none", "-serial",
                            "stdio", "-m", str(BOOT_MEMORY), "-kernel", f"{debian.image()}/kernel", "-initrd", initrd,
                            "-append", "console=ttyS0 quiet"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors(), env=self.environment)
        await_text(process.stdout, FIRST_LINE, 120)
        return boot_figures(process, [process.pid], process.pid, time.monotonic() - started)


def boot_figures(process, pids, machine, wall):
    busy = processor_time(pids)
    extra = extra_memory(machine, BOOT_MEMORY << 20)
    process.stdin.close()
    try:
        process.wait(0.5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return wall, busy, extra


class Native:
    """The same packages for the host's own processor, in a tree that is the root for a shell."""

    name = "native"

    def __init__(self, tree):
        self.tree = tree

    def command(self, script):
        """A shell command in the tree, with the host's devices and processes and an empty /tmp."""
        tree = shlex.quote(self.tree)
        mounts = (f"mount --rbind /dev {tree}/dev && mount --rbind /proc {tree}/proc && mount -t tmpfs tmpfs {tree}/tmp")
        start = f"{mounts} && exec chroot {tree} /bin/bash -c {shlex.quote(script)}"
        return ["unshare", "--mount"] + (["--map-root-user"] if os.geteuid() else []) + ["sh", "-c", start]

    def start(self, _payload, cpus=None):
        script = "cp -r /suite /tmp/suite && cd /tmp/suite && exec bash driver.sh"
        if cpus:
            allowed = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0))[:cpus])
            script = f"exec taskset -c {allowed} bash -c {shlex.quote(script)}"
        process = subprocess.Popen(self.command(script), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        session = NativeSession(process, process.stdin, process.stdout, [])
        session.line(60)
        return session


class NativeSession(Session):
    """Programs here are short, so each is repeated until its time can be told."""

    LEAST = 0.05

    def measure(self, name, patience=120):
        count = 1
        while True:
            started = time.monotonic()
            status, user, system = self.ask(f"run {name} {count}", "ended", patience)
            wall, busy = time.monotonic() - started, float(user) + float(system)
            if busy >= self.LEAST or count >= 1000:
                return busy / count, wall / count, status
            count = min(1000, count * 2 if busy == 0 else int(count * self.LEAST * 1.3 / busy) + 1)


def find_qemus(tree):
    """The peers there are: the host's own and the tree's, by their version."""
    library = f"{tree}/usr/lib/x86_64-linux-gnu"
    from_tree = [f"{tree}/lib64/ld-linux-x86-64.so.2", "--library-path", library, f"{tree}/usr/bin/qemu-system-riscv64",
                 "-L", f"{tree}/usr/share/qemu"]
    found = {}
    for command, environment in ((["qemu-system-riscv64"], {}), (from_tree, {"QEMU_MODULE_DIR": f"{library}/qemu"})):
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            said = subprocess.run(command + ["--version"], check=True, stdout=subprocess.PIPE, text=True,
                                  env=os.environ | environment).stdout
            version = re.search(r"version (\d+\.\d+)", said)[1]
            found.setdefault(version, QEMU(command, f"QEMU {version}", environment))
    return list(found.values())
