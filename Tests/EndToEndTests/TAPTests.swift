import Glibc
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Machines on TAP devices, each in a network namespace that the test makes and that goes with it.
  @Suite(
    .serialized, .boots,
    .enabled(if: geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0, "it needs root and TAP devices"))
  struct TAPTests {
    /// A host beside the guest: serves a file, fetches one from the guest when that says that it serves, and prints what
    /// both programs say, what the file is and how many packets it took.
    private static let host = """
      import hashlib, json, http.server, os, subprocess, sys, threading, urllib.request
      data = os.urandom(12 << 20)
      class Handler(http.server.BaseHTTPRequestHandler):
          def do_GET(self):
              self.send_response(200); self.send_header("Content-Length", str(len(data))); self.end_headers()
              self.wfile.write(data)
          def log_message(self, *rest): pass
      server = http.server.ThreadingHTTPServer(("10.77.0.1", 8000), Handler)
      threading.Thread(target=server.serve_forever, daemon=True).start()
      def packets():
          text = subprocess.run(["ip", "-s", "-j", "link", "show", "vt0"], stdout=subprocess.PIPE).stdout
          stats = json.loads(text)[0]["stats64"]
          return stats["tx"]["packets"], stats["rx"]["packets"]
      print("file", hashlib.sha256(data).hexdigest(), flush=True)
      machine = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
      for line in machine.stdout:
          line = line.decode().strip()
          print(line, flush=True)
          if line == "serving":
              sent = packets()[0]
              got = urllib.request.urlopen("http://10.77.0.2/file").read()
              print("fetched", hashlib.sha256(got).hexdigest(), flush=True)
              print("packets", sent, packets()[1], flush=True)
              machine.stdin.close()
      sys.exit(machine.wait())
      """

    /// Runs a shell script in network and mount namespaces of its own.
    private func inNamespace(_ script: String, _ words: [String] = [], within seconds: Int) throws
      -> ProgramRun.Outcome
    {
      try ProgramRun(
        "/usr/bin/unshare", ["-nm", "sh", "-c", "ip link set lo up; " + script, "sh"] + words,
        environment: ["VOLARY_DATA": Bench.data]
      ).finish(within: seconds)
    }

    /// Both ways, with checksums and segments left to each other.
    @Test(arguments: ["mmio", "pci"]) func guestAndHostReachEachOther(bus: String) throws {
      let job = """
        b=/usr/lib/volary/busybox
        $b ip addr add 10.77.0.2/24 dev eth0; $b ip link set eth0 up
        for i in 1 2 3 4 5 6 7 8 9; do $b ping -c 1 -w 2 10.77.0.1 >/dev/null && break; done && echo pinged
        $b wget -q -O - http://10.77.0.1:8000/ | sha256sum | cut -c 1-64
        mkdir /tmp/www; head -c 12582912 /dev/urandom >/tmp/www/file; echo own $(sha256sum </tmp/www/file | cut -c 1-64)
        $b cut -c 1-16 /sys/class/net/eth0/device/features
        $b httpd -h /tmp/www -p 80; echo serving; cat >/dev/null; exit 5
        """
      let outcome = try inNamespace(
        """
        ip tuntap add dev vt0 mode tap; ip addr add 10.77.0.1/24 dev vt0; ip link set vt0 up
        exec python3 -c "$@"
        """,
        [
          Self.host, "\(Bench.programs)/volary", "run", "--arch", "riscv64", "--virtio", bus, "--network",
          "tap=vt0", Bench.imageName, "--", "sh", "-c", job,
        ], within: 400)
      #expect(outcome.code == 5, "\(outcome.output) \(outcome.errors)")
      let lines = outcome.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
      try #require(lines.count == 8, "\(outcome.output) \(outcome.errors)")
      #expect(lines[1] == ["pinged"])
      #expect(lines[2][0] == lines[0][1], "what the guest fetched")
      // Checksums (0, 1) and segments (7, 8, 11, 12), by virtio's numbers.
      let features = Array(lines[4][0])
      for bit in [0, 1, 7, 8, 11, 12] { #expect(features[bit] == "1", "feature \(bit) of \(lines[4])") }
      #expect(lines[5] == ["serving"])
      #expect(lines[6][1] == lines[3][1], "what the host fetched")
      // 12 MiB are 8700 packets of 1448 bytes.
      for count in lines[7].dropFirst() { #expect(try #require(Int(count)) < 6000, "\(lines[7])") }
    }

    /// What is wrong, and the way out, in a line.
    @Test func refusalsNameTheWayOut() throws {
      let run = "\(Bench.programs)/volary run --arch riscv64 \(Bench.imageName) --network tap=vt0 -- true"
      let folder = TestFolder()
      // Somebody else may read neither this user's images nor his programs: he finds them elsewhere.
      let bin = "\(folder.path)/bin"
      let image = Bench.image.replacing(Bench.data, with: folder.path)
      let open =
        "mkdir -p \(bin) \(image); chmod 755 \(folder.path); mount --bind \(Bench.programs) \(bin); "
        + "mount --bind \(Bench.image) \(image)"
      let user =
        "env VOLARY_DATA=\(folder.path) setpriv --reuid 65534 --clear-groups "
        + run.replacing("\(Bench.programs)/", with: "\(bin)/")
      let node =
        "mknod \(folder.path)/tun c 10 200; chmod 666 \(folder.path)/tun; mount --bind \(folder.path)/tun /dev/net/tun"
      let make = "ip tuntap add dev vt0 mode tap"
      let cases: [(script: String, code: Int32, words: [String])] = [
        (run, 4, ["no network device vt0", "sudo ip tuntap add dev vt0 mode tap user root"]),
        ("mount -t tmpfs none /dev/net; \(run)", 4, ["no TAP devices", "modprobe tun"]),
        ("ip tuntap add dev vt0 mode tun; \(run)", 2, ["vt0 is no TAP device"]),
        (
          "ip link add vt0 type dummy 2>/dev/null || ip link add vt0 type bridge; \(run)", 2,
          ["vt0 is no TAP device"]
        ),
        (
          "\(make) user 1; \(node); \(open); \(user)", 6, ["belongs to another user", "user nobody"]
        ),
        ("\(make); \(open); \(user)", 6, ["/dev/net/tun may not be opened"]),
        (
          """
          \(make); python3 -c '
          import fcntl, os, struct, subprocess, sys
          tap = os.open("/dev/net/tun", os.O_RDWR)
          fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"vt0", 0x5002))
          sys.exit(subprocess.run(sys.argv[1:]).returncode)' \(run)
          """, 5, ["vt0 is in use"]
        ),
        (run.replacing("vt0", with: "a/b"), 2, ["no network device can have that name"]),
        (run.replacing("-- true", with: "-P 80:80 -- true"), 2, ["--publish is for --network nat"]),
        (run.replacing("tap=vt0", with: "tap="), 64, ["network"]),
      ]
      for (script, code, words) in cases {
        let outcome = try inNamespace(script, within: 60)
        let isUsage = code == 64 || words[0].hasPrefix("--publish")
        #expect(outcome.code == code || isUsage && outcome.code != 0, "\(script): \(outcome.errors)")
        for word in words { #expect(outcome.errors.contains(word), "\(script): \(outcome.errors)") }
        #expect(isUsage || outcome.errors.split(separator: "\n").count == 1, "\(outcome.errors)")
      }
    }
  }
}
