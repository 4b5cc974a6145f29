package import Devices
internal import GuestMemory
internal import RISCV

extension VirtBoard {
  /// Extensions of the instruction set, as the device tree names them.
  static let extensions = [
    "i", "m", "a", "f", "d", "c", "zicntr", "zicond", "zicsr", "zifencei", "zba", "zbb", "zbs", "sstc",
    "svadu",
    "svinval", "svnapot", "svpbmt", "svvptc",
  ]

  /// Describes the board to its guest.
  package func deviceTree(_ boot: LinuxLoader.Layout?, commandLine: String, entropySeed: [UInt8])
    -> DeviceTree
  {
    var tree = DeviceTree()
    tree.property("#address-cells", .cells([2]))
    tree.property("#size-cells", .cells([2]))
    tree.property("compatible", .string("riscv-virtio"))
    tree.property("model", .string("riscv-virtio,volary"))

    tree.node("chosen") {
      $0.property("bootargs", .string(commandLine))
      $0.property("stdout-path", .string("/soc/serial@\(String(VirtMap.serial, radix: 16))"))
      if !entropySeed.isEmpty { $0.property("rng-seed", .bytes(entropySeed)) }
      if let initrd = boot?.initrd {
        $0.property("linux,initrd-start", .u64([initrd.lowerBound]))
        $0.property("linux,initrd-end", .u64([initrd.upperBound]))
      }
    }
    for region in memory.regions {
      tree.root.node("memory", at: region.base) {
        $0.property("device_type", .string("memory"))
        $0.property("reg", .u64([region.base, UInt64(region.size)]))
      }
    }

    let hartControllers = cluster.harts.map { _ in tree.newPHandle() }
    tree.node("cpus") { cpus in
      cpus.property("#address-cells", .cells([1]))
      cpus.property("#size-cells", .cells([0]))
      cpus.property("timebase-frequency", .cells([UInt32(MachineClock.frequency)]))
      for hart in cluster.harts {
        cpus.node("cpu", at: UInt64(hart.id)) { cpu in
          describe(hart, controller: hartControllers[hart.id], in: &cpu)
        }
      }
    }

    let plicHandle = tree.newPHandle()
    let switchHandle = tree.newPHandle()
    tree.node("soc") { soc in
      soc.property("#address-cells", .cells([2]))
      soc.property("#size-cells", .cells([2]))
      soc.property("compatible", .string("simple-bus"))
      soc.property("ranges")
      soc.property("interrupt-parent", .phandle(plicHandle))
      plic.describe(in: &soc, at: VirtMap.interruptController, phandle: plicHandle) { hartControllers[$0] }
      serial.describe(in: &soc, at: VirtMap.serial)
      clock.describe(in: &soc, at: VirtMap.clock)
      for (slot, transport) in virtio.enumerated() {
        let base = VirtMap.virtio + UInt64(slot) * VirtMap.virtioStride
        soc.node("virtio_mmio", at: base) {
          $0.property("compatible", .string("virtio,mmio"))
          $0.property("reg", .u64([base, transport.registerSpace]))
          $0.property("interrupts", .cells([UInt32(VirtMap.Interrupt.virtio + slot)]))
          $0.property("dma-coherent")
        }
      }
      pci?.describe(in: &soc, interruptParent: plicHandle)
    }
    powerSwitch.describe(in: &tree.root, bus: "soc", at: VirtMap.systemController, phandle: switchHandle)
    return tree
  }

  private func describe(_ hart: Hart, controller: DeviceTree.PHandle, in cpu: inout DeviceTree.Node) {
    cpu.property("device_type", .string("cpu"))
    cpu.property("reg", .cells([UInt32(hart.id)]))
    cpu.property("status", .string("okay"))
    cpu.property("compatible", .string("riscv"))
    let single = Self.extensions.filter { $0.utf8.count == 1 }.joined()
    let multiple = Self.extensions.filter { $0.utf8.count > 1 }
    cpu.property("riscv,isa", .string((["rv64" + single] + multiple).joined(separator: "_")))
    cpu.property("riscv,isa-base", .string("rv64i"))
    cpu.property("riscv,isa-extensions", .strings(Self.extensions))
    cpu.property("mmu-type", .string("riscv,sv39"))
    cpu.node("interrupt-controller") {
      $0.property("#interrupt-cells", .cells([1]))
      $0.property("interrupt-controller")
      $0.property("compatible", .string("riscv,cpu-intc"))
      $0.phandle(controller)
    }
  }
}
