"""What the tests with other people's clients have in common: the clients, a daemon, and patience."""
import ctypes, json, os, shutil, signal, subprocess, sys, tempfile, time, traceback

SKIPPED = 77
# Seconds that anything may take on a host that is busy.
PATIENCE = 90
IMAGE = "debian_13_riscv64"
FETCH = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "scripts", "fetch-debian")
began = time.monotonic()


def say(text):
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)


def skip(why):
    print(f"skipped: {why}")
    sys.exit(SKIPPED)


def require(package, *others):
    """The folder of packages' programs, unpacked once from Debian 13's; nothing is installed."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(base, "volary", "clients", package)
    fetched = subprocess.run([FETCH, folder, package, *others], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if fetched.returncode != 0:
        skip((fetched.stderr.strip().splitlines() or [f"{package} cannot be had"])[-1].removeprefix("volary: "))
    return os.path.join(folder, "usr", "bin")


def until(what, condition, seconds=PATIENCE):
    """The condition's value as soon as it is none that is false."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.1)


def die_with_parent():
    """For a child: it does not outlive this script, however that ends (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class House:
    """A daemon that listens on loopback, with a directory of its own; gone with all its machines at the end."""

    def __init__(self, programs, data, image=IMAGE):
        self.programs = os.path.abspath(programs)
        self.folder = tempfile.mkdtemp(prefix="volary-clients.")
        # The image's files, and not the store they are from: clients may delete images here.
        source, images = os.path.join(data, "images", image), os.path.join(self.folder, "images")
        if not os.path.exists(os.path.join(source, "image.json")):
            shutil.rmtree(self.folder)
            skip(f"there is no image {image} in {data}: make image builds debian/13")
        os.mkdir(images)
        copies = [["cp", "-aL", "--link"], ["cp", "-aL", "--sparse=always"]]
        assert any(subprocess.run(copy + [source, images], stderr=subprocess.DEVNULL).returncode == 0 for copy in copies)
        # No proxy is to be asked for what is on this host, and words are in English.
        kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        self.environment = {**kept, "VOLARY_DATA": self.folder, "VOLARY_SOCKET": "", "LC_ALL": "C", "LANGUAGE": ""}

    def run(self, *arguments, check=True):
        run = subprocess.run([os.path.join(self.programs, "volary"), *arguments], env=self.environment,
                             stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=200)
        assert run.returncode == 0 or not check, f"volary {' '.join(arguments)}: {run.returncode}: {run.stderr}"
        return run

    def query(self, path):
        return json.loads(self.run("query", path).stdout)

    def listen(self):
        """Has the daemon listen; returns its address."""
        self.run("config", "set", "core.https_address=127.0.0.1:0")
        return until("an address", lambda: self.query("/1.0")["environment"]["addresses"])[0]

    def daemon(self):
        with open(os.path.join(self.folder, "volaryd.lock")) as file:
            return int(file.read())

    def end(self):
        try:
            # In every project; where the daemon is gone, another one comes to do it.
            for instance in json.loads(self.run("query", "/1.0/instances?recursion=1&all-projects=true").stdout):
                self.run("delete", "-f", "--project", instance["project"], instance["name"], check=False)
            process = self.daemon()
            os.kill(process, signal.SIGTERM)
            for _ in range(200):
                os.kill(process, 0)
                time.sleep(0.1)
        except (OSError, ValueError, AssertionError, subprocess.SubprocessError):
            pass
        shutil.rmtree(self.folder, ignore_errors=True)


def walk(steps, house, context=lambda: "", end=lambda: None):
    """Goes through steps, and ends all; after a failure the last line says in which one it was."""
    # Whoever ends this script has it end the daemon.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        for step in steps:
            step()
    except Exception as error:
        traceback.print_exc()
        place = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name == step.__name__][-1]
        words = (str(error) or type(error).__name__).strip().replace("\n", " | ")
        print(f"{context()}failed in {step.__name__}, line {place.lineno}: {place.line}: {words[-900:]}", file=sys.stderr)
        sys.exit(1)
    finally:
        end()
        house.end()
