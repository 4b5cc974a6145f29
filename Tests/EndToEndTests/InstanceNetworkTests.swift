import Foundation
import Glibc
import HostPrograms
import Testing

extension EndToEndTests {
  /// Instances on networks of the host's, in network namespaces that the tests make.
  @Suite(
    .serialized, .boots,
    .enabled(if: geteuid() == 0 && access("/dev/net/tun", R_OK | W_OK) == 0, "it needs root and TAP devices"))
  struct InstanceNetworkTests {
    /// A guest on a bridge is reached from there, before and after its daemon was killed; its side of the bridge goes
    /// with it.
    @Test func aGuestIsOnABridge() throws {
      let house = try TestHouse()
      let outcome = try house.inNamespace(
        """
        ip link add br0 type bridge; ip addr add 10.77.0.1/24 dev br0; ip link set br0 up
        reach() {
          python3 - <<'END'
        import os, socket, struct, sys, time
        s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        s.settimeout(1)
        def total(b):
            n = sum(struct.unpack(f"!{len(b)//2}H", b)); n = (n >> 16) + (n & 0xffff); return ~(n + (n >> 16)) & 0xffff
        head = struct.pack("!BBHHH", 8, 0, 0, 7, 1) + b"volary!!"
        echo = head[:2] + struct.pack("!H", total(head)) + head[4:]
        for _ in range(90):
            try:
                s.sendto(echo, ("10.77.0.2", 0))
                answer = s.recv(2000)
                if answer[20] == 0: print("reached"); sys.exit()
            except OSError: time.sleep(0.2)
        print("silence")
        END
        }
        members() { ip -o link show master br0 | wc -l; }
        volary launch debian/13 web --arch riscv64 --memory 256MiB -n br0 \\
          -c volary.append=volary.ip=10.77.0.2/24,10.77.0.1 -d eth0,hwaddr=52:54:00:aa:bb:cc
        reach; members
        ip neigh show dev br0 10.77.0.2 | grep -o 52:54:00:aa:bb:cc
        volary query /1.0/instances/web | grep -c 'volatile.eth0.host_name.*vol'
        volary query /1.0/networks/br0/state | grep -A2 upper_devices | grep -c vol
        volary network list -f csv | grep -E '^(br0|nat|lo),' | sort
        kill -9 $(cat $VOLARY_DATA/volaryd.lock); reach; members
        volary list -f csv | grep -o 'web,RUNNING'; reach
        volary network attach nat web; volary network detach nat web
        volary stop web --force; members
        volary network attach br1 web; echo $?
        volary network attach lo web; echo $?
        volary network attach br0 web && volary start web && members
        ip link del br0; volary restart web --force; echo $?
        volary delete web --force
        """)
      let lines = outcome.output.split(separator: "\n").map(String.init)
      #expect(
        lines
          == [
            "reached", "1", "52:54:00:aa:bb:cc", "2", "1", "br0,bridge,NO,10.77.0.1/24,", "lo,loopback",
            "nat,nat,YES", "reached", "1", "web,RUNNING", "reached", "0", "4", "2", "1", "4",
          ].enumerated().map { index, line in
            // Of the table the beginnings.
            index < lines.count && lines[index].hasPrefix(line) ? lines[index] : line
          }, "\(outcome.output) \(outcome.errors)")
      for words in [
        "web: it was started with another configuration (eth0)", "there is no network `br1`",
        "put it in a bridge", "there is no network `br0`",
      ] { #expect(outcome.errors.contains(words), "\(outcome.errors)") }
    }

    /// A daemon without the right says so, and how it can be done.
    @Test func refusesWithoutTheRight() throws {
      let house = try TestHouse(withTinyImage: ())
      // The daemon that imported the image, if any, is in no namespace.
      let outcome = try house.inNamespace(
        """
        ip link add br0 type bridge; ip link set br0 up
        setpriv --bounding-set=-net_admin --inh-caps=-net_admin volary launch tiny a -n br0; echo $?
        ip tuntap add dev tap7 mode tap; ip link set tap7 master br0 up
        volary launch tiny b -n tap7; echo $?
        volary project create lab -c restricted.networks.access=br1; volary launch tiny c -n tap7 --project lab; echo $?
        volary launch tiny d --project lab --stopped; echo $?
        volary delete b --force; volary delete d --project lab
        """)
      #expect(outcome.output == "6\n0\n6\n0\n", "\(outcome.output) \(outcome.errors)")
      #expect(outcome.errors.contains("may not put network devices on a bridge; root's daemon may"))
      #expect(outcome.errors.contains("may not be on the network `tap7`; they may be on nat, br1"))
    }
  }
}

extension TestHouse {
  /// Runs a shell script in network and mount namespaces of its own, with `volary` and this house's data.
  func inNamespace(_ script: String) throws -> ProgramRun.Outcome {
    let path = "\(Bench.programs):\(Bench.environment["PATH"] ?? "/usr/sbin:/usr/bin:/sbin:/bin")"
    return try ProgramRun(
      "/usr/bin/unshare", ["-nm", "sh", "-c", "ip link set lo up\n" + script],
      environment: environment.merging(["PATH": path]) { $1 }
    ).finish(within: 400)
  }
}
