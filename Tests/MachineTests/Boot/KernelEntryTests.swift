import Foundation
import Glibc
import GuestMemory
import HostSystem
import KVM
import Machine
import Testing

/// Whether kernels can be entered here.
private enum EntryHost {
  static let isFit =
    (try? KVMSystem()) != nil && !AMD64Kernels.releases.isEmpty
    && (KVMProbe.measure().isUseful || ProcessInfo.processInfo.environment["VOLARY_SLOW_KVM"] != nil)
  static let reason: Comment = "it needs a KVM that is hardware (or VOLARY_SLOW_KVM=1) and Debian's kernels"
}

/// Debian's kernels, entered: what they say of their command line, memory map, RAM disk and ACPI is the oracle for what
/// they were told.
///
/// Their first lines come after tens of millions of instructions, so that a KVM that is not hardware needs a minute.
@Suite(.serialized, .timeLimit(.minutes(30)), .enabled(if: EntryHost.isFit, EntryHost.reason))
struct KernelEntryTests {
  @Test(arguments: AMD64Kernels.releases, [true, false])
  func kernelReadsWhatItIsTold(release: String, throughPVH: Bool) throws {
    let kernel = try AMD64Kernels.kernel(release).get()
    let line = "earlyprintk=ttyS0,keep nokaslr volary.mark=\(release)"
    let initrd = [UInt8](repeating: 0, count: 123_456)
    // A damaged note hides the PVH entry.
    var elf = [UInt8](kernel.elf)
    if !throughPVH {
      let name = Data([4, 0, 0, 0, 8, 0, 0, 0, 18, 0, 0, 0]) + Data("Xen\0".utf8)
      elf[try #require(kernel.elf.range(of: name)).lowerBound + 8] = 99
    }
    let file =
      throughPVH
      ? try Descriptor.open(kernel.path, O_RDONLY)
      : try SampleKernel.descriptor(SampleKernel.bzImage(payload: SampleKernel.compress(elf, with: "LZ4")))
    let loaded = try LoadedMemory(
      file, initrd: [SampleKernel.descriptor(initrd)], commandLine: line, size: 5 << 30)
    if case .pvh = loaded.layout.entry { try #require(throughPVH) } else { try #require(!throughPVH) }
    let machine = try KVMMachine(system: KVMSystem(), memory: loaded.memory, cpus: 1)
    _ = try machine.reset(entering: loaded.layout.entry)
    let console = EarlyConsole()
    console.after("RAMDISK:") { machine.pause() }
    // A guest that says nothing ends too.
    let guardian = try Thread.start(name: "guardian") {
      let end = monotonicNanoseconds() + 240_000_000_000
      while !machine.isPaused, monotonicNanoseconds() < end { usleep(20_000) }
      machine.pause()
    }
    let exit = machine.processors[0].run(bus: console)
    machine.pause()
    guardian.join()
    let text = console.text
    #expect(exit == .paused || exit == .kicked, "\(exit)")
    #expect(text.contains("Linux version"))
    #expect(text.contains("Command line: \(line)"))
    for (from, to, kind) in [
      (0, 0x9FFFF, "usable"), (0xA0000, 0xFFFFF, "reserved"), (0x100000, 0xBFFF_FFFF, "usable"),
      (0xE800_0000, 0xF7FF_FFFF, "reserved"), (0x1_0000_0000, 0x1_7FFF_FFFF, "usable"),
    ] as [(UInt64, UInt64, String)] {
      func address(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return "0x" + String(repeating: "0", count: 16 - digits.count) + digits
      }
      #expect(text.contains("[mem \(address(from))-\(address(to))] \(kind)"), "\(text)")
    }
    let place = try #require(loaded.layout.initrd)
    let end = (place.upperBound + 4095) & ~4095
    #expect(
      text.contains(
        "RAMDISK: [mem 0x\(String(place.lowerBound, radix: 16))-0x\(String(end - 1, radix: 16))]"), "\(text)"
    )
  }
}
