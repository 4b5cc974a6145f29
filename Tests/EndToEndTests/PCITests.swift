import Foundation
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// A stock kernel finds all its devices on a PCI Express bus, with its own drivers.
  @Suite(.serialized, .boots) struct PCITests {
    @Test(arguments: [1, 2]) func devicesArePCIFunctions(cpus: Int) throws {
      let input = Bench.randomBytes(1 << 20)
      let server = try HTTPServer(input)
      let machine = try VolaryRun.job(
        """
        cat >/tmp/in; sync; sha256sum </tmp/in
        /usr/lib/volary/busybox wget -q -O - http://10.0.2.2:\(server.port)/ | sha256sum
        head -c 64 /dev/hwrng | wc -c
        for device in /sys/bus/virtio/devices/*; do
          parent=$(readlink -f $device/..)
          echo ${parent##*/} $(basename $(readlink $parent/driver)) $(basename $(readlink $device/driver)) \
            $(cat $parent/irq)
        done
        echo interrupts; grep virtio /proc/interrupts
        echo windows; grep -c virtio-pci-modern /proc/iomem
        echo complaints; dmesg | grep -icE 'warning|oops|bug:|spurious|nobody cared|failed to assign'
        ls /sys/bus/platform/drivers/virtio-mmio 2>/dev/null | grep -c virtio_mmio
        echo dump
        for device in /sys/bus/pci/devices/*; do
          echo ${device#*:} Device; od -An -v -w16 -tx1 -N 256 $device/config; echo
        done; exit 9
        """, options: ["--virtio", "pci", "--cpus", "\(cpus)"])
      let outcome = try machine.finish(input: input, within: 300)
      #expect(outcome.exit == .code(9))
      let lines = outcome.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      try #require(lines.count > 20, "\(outcome.output) \(outcome.errors)")
      let sum = "\(try Bench.sha256(input))  -"
      #expect(Array(lines[..<3]) == [sum, sum, "64"])
      // In order of their places; each with INTA on the wire of its place.
      let functions = lines[3..<8].map { $0.split(separator: " ").map(String.init) }
      #expect(functions.map { $0[0] } == (1...5).map { "0000:00:0\($0).0" })
      #expect(functions.allSatisfy { $0[1] == "virtio-pci" })
      #expect(
        functions.map { $0[2] } == [
          "virtio_blk", "virtio_net", "virtio_console", "virtio_rng", "virtio_balloon",
        ])
      #expect(functions[0][3] == functions[4][3], "the first and the fifth share a wire")
      #expect(Set(functions.map { $0[3] }).count == 4)
      let start = try #require(lines.firstIndex(of: "interrupts"))
      let end = try #require(lines.firstIndex(of: "windows"))
      let interrupts = lines[start + 1..<end]
      #expect(interrupts.count == 4)
      for (wire, names) in [
        (33, ["virtio0", "virtio4"]), (34, ["virtio1"]), (35, ["virtio2"]), (32, ["virtio3"]),
      ] {
        let line = try #require(interrupts.first { $0.contains(" PLIC  \(wire) ") }, "\(interrupts)")
        #expect(names.allSatisfy { line.contains($0) }, "\(line)")
        let counts = line.split(separator: " ").dropFirst().prefix(cpus).compactMap { Int($0) }
        #expect(counts.reduce(0, +) > 0, "\(line)")
      }
      #expect(lines[end + 1] == "5")
      #expect(Array(lines[(end + 2)..<(end + 5)]) == ["complaints", "0", "0"])
      try examine(lines[(end + 6)...])
      #expect(machine.leftovers.isEmpty)
    }

    /// What the host's lspci reads out of what the guest's kernel sees.
    private func examine(_ lines: ArraySlice<String>) throws {
      guard access("/usr/bin/lspci", X_OK) == 0 else { return }
      var dump = ""
      var row = 0
      for line in lines {
        if line.hasSuffix("Device") || line.isEmpty {
          dump += line + "\n"
          row = 0
        } else {
          dump += String(format: "%02x:", row) + line + "\n"
          row += 16
        }
      }
      let folder = TestFolder()
      let file = try folder.file("dump", Array(dump.utf8))
      let lspci = try ProgramRun("/usr/bin/lspci", ["-F", file, "-vvv"]).finish()
      let functions = lspci.output.components(separatedBy: "\n\n").filter { !$0.isEmpty }
      try #require(functions.count == 6, "\(lspci.output) \(lspci.errors)")
      #expect(functions[0].contains("Host bridge"))
      for function in functions.dropFirst() {
        #expect(function.contains("Virtio"), "\(function)")
        #expect(function.contains("Control: I/O- Mem+ BusMaster+"), "\(function)")
        #expect(function.contains("Memory at 4000"), "\(function)")
        #expect(function.contains("VirtIO: CommonCfg"), "\(function)")
        #expect(!function.contains("MSI-X"), "the PLIC takes no messages")
      }
    }

    @Test func theTwoWaysAreNamed() throws {
      let outcome = try VolaryRun(["run", "--arch", "riscv64", Bench.imageName, "--virtio", "usb"]).finish(
        within: 60)
      #expect(outcome.exit == .code(2))
      #expect(outcome.errors.contains("--virtio"))
    }
  }
}
