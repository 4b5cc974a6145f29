import GuestMemory
import HostSystem
import KVM
import Machine

/// A PC's memory with a kernel in it.
struct LoadedMemory {
  let memory: GuestMemory
  let ram: PCMemory
  var layout: PCLoader.Layout

  /// Loads into memory that holds what an earlier guest left, if `isDirty`.
  init(
    _ kernel: Descriptor, initrd: [Descriptor] = [], commandLine: String = "console=ttyS0",
    size: UInt64 = 256 << 20, isDirty: Bool = false, entropySeed: [UInt8] = []
  ) throws {
    ram = PCMap.ram(size: size)
    memory = try GuestMemory(regions: ram.regions)
    if isDirty {
      for region in ram.regions {
        let slice = try memory.slice(at: region.base, count: region.size)
        slice.withMutableBytes { _ = $0.initializeMemory(as: UInt8.self, repeating: 0xA5) }
      }
    }
    layout = try PCLoader.load(
      kernel: kernel, initrd: initrd, commandLine: commandLine, memory: memory, map: ram.map,
      entropySeed: entropySeed)
  }

  init(_ kernel: [UInt8], initrd: [[UInt8]] = [], size: UInt64 = 256 << 20, isDirty: Bool = false) throws {
    try self.init(
      SampleKernel.descriptor(kernel), initrd: initrd.map { try SampleKernel.descriptor($0) }, size: size,
      isDirty: isDirty)
  }

  func bytes(_ address: UInt64, _ count: Int) throws -> [UInt8] {
    try memory.slice(at: address, count: count).copyBytes()
  }

  func load<T: FixedWidthInteger & BitwiseCopyable>(_ type: T.Type, _ address: UInt64) throws -> T {
    try memory.slice(at: address, count: MemoryLayout<T>.size).load(T.self, at: 0)
  }

  /// Whether memory is zero; the address of what is not.
  func firstNonzero(_ range: Range<UInt64>) throws -> UInt64? {
    if range.isEmpty { return nil }
    return try memory.slice(at: range.lowerBound, count: range.count).withBytes { bytes in
      bytes.firstIndex { $0 != 0 }.map { range.lowerBound + UInt64($0) }
    }
  }

  /// Whether `count` bytes at an address are those of `bytes` at an offset.
  func holds(_ bytes: some Collection<UInt8>, at address: UInt64) throws -> Bool {
    try memory.slice(at: address, count: bytes.count).withBytes { $0.elementsEqual(bytes) }
  }
}
