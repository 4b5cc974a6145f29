"""Debian packages: the guest's image, and a tree of the same release's packages for the host's own processor."""
import hashlib, json, os, re, shutil, subprocess, sys, tempfile

# What the programs of the suite come from, in the guest and natively.
PACKAGES = ["python3", "sqlite3", "zstd", "xz-utils", "gzip", "gcc", "libc6-dev", "perl", "openssl", "7zip", "dash",
            "findutils", "make"]
# Only in the native tree: the compiler for the suite's own programs, and the peer.
NATIVE_PACKAGES = ["gcc-riscv64-linux-gnu", "libc6-dev-riscv64-cross", "qemu-system-riscv"]
IMAGE = "bench/13"
RELEASE = "debian/13"
FETCH = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..", "scripts", "fetch-debian")


def cache():
    """The folder that keeps what is made once."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    folder = os.path.join(base, "volary", "bench")
    os.makedirs(folder, exist_ok=True)
    return folder


def say(text):
    print(f"translator: {text}", file=sys.stderr, flush=True)


def store():
    """The value of VOLARY_DATA for the suite's own image."""
    return os.path.join(cache(), "store")


def image():
    return os.path.join(store(), "images", IMAGE.replace("/", "_") + "_riscv64")


def require_image(programs):
    """Builds the guest's image unless it is there with all packages."""
    os.makedirs(store(), exist_ok=True)
    if set(record().get("packages", {})).issuperset(PACKAGES):
        return
    say(f"building the image {IMAGE} below {cache()}, once; it takes minutes")
    options = [word for package in PACKAGES for word in ("--package", package)]
    subprocess.run([f"{programs}/volary", "image", "build", RELEASE, "--arch", "riscv64", "--name", IMAGE] + options, check=True,
                   env=os.environ | {"VOLARY_DATA": store()})


def record():
    """The image's description, empty while there is none."""
    try:
        with open(f"{image()}/image.json") as file:
            return json.load(file)
    except FileNotFoundError:
        return {}


def image_file(path):
    """A file of the image's root disk."""
    return subprocess.run(["debugfs", "-R", f"cat {path}", f"{image()}/disk.raw"], check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout


def require_tree():
    """Unpacks the packages for amd64, with all they depend on, from the archive that the image was built from."""
    tree = os.path.join(cache(), "native")
    stamp = os.path.join(cache(), "native.packages")
    # Another image is another tree.
    wanted = hashlib.sha256(" ".join(PACKAGES + NATIVE_PACKAGES + [record()["created_at"]]).encode()).hexdigest()
    if os.path.exists(stamp) and json.load(open(stamp))["wanted"] == wanted:
        return tree
    say(f"unpacking Debian {RELEASE} for amd64 below {cache()}, once; nothing of it is installed")
    shutil.rmtree(tree, ignore_errors=True)
    # Suites that the archive lacks (a copy without security updates) are left out, as the image build does.
    sources = image_file("/etc/apt/sources.list.d/debian.sources")
    if b"URIs:" not in sources:
        sys.exit("translator: the image names no archive that can be reached: " + sources.decode(errors="replace"))
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{folder}/debian.sources", "wb") as file:
            file.write(sources)
        # The versions of the guest, wherever the archive still has them; rebuilds (+b1) differ by architecture.
        with open(f"{folder}/preferences", "w") as file:
            for package, version in record()["packages"].items():
                file.write(f"Package: {package}\nPin: version {without_rebuild(version)}*\nPin-Priority: 1001\n\n")
        options = ["--dependencies", "all", "--sources", f"{folder}/debian.sources",
                   "--preferences", f"{folder}/preferences"]
        fetched = subprocess.run([FETCH] + options + [tree, "?essential"] + PACKAGES + NATIVE_PACKAGES)
    if fetched.returncode != 0:
        sys.exit(1)
    with open(f"{tree}/.packages") as file:
        versions = dict(line.split() for line in file)
    for folder in ("proc", "dev", "tmp"):
        os.makedirs(f"{tree}/{folder}", exist_ok=True)
    with open(stamp, "w") as file:
        json.dump({"wanted": wanted, "versions": versions}, file)
    return tree


def version_differences():
    """Packages of the suite whose versions differ between guest and native."""
    with open(os.path.join(cache(), "native.packages")) as file:
        native = json.load(file)["versions"]
    guest = record()["packages"]
    names = PACKAGES + ["libc6", "coreutils", "bash"]
    return [f"{name} {guest.get(name)} and {native.get(name)}" for name in names
            if without_rebuild(guest.get(name, "")) != without_rebuild(native.get(name, ""))]


def without_rebuild(version):
    return re.sub(r"\+b[0-9]+$", "", version)
