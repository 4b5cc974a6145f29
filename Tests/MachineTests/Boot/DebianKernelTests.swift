import Foundation
import Glibc
import HostSystem
import KVM
import Machine
import Testing

/// Debian's own kernels in a PC's memory; the oracles are the host's decompressors and readelf.
@Suite(.serialized, .timeLimit(.minutes(30))) struct DebianKernelTests {
  @Test(arguments: AMD64Kernels.releases, [false, true])
  func kernelIsWhatItsToolsMakeOfIt(release: String, isDirty: Bool) throws {
    let kernel = try AMD64Kernels.kernel(release).get()
    let loaded = try LoadedMemory(Descriptor.open(kernel.path, O_RDONLY), size: 256 << 20, isDirty: isDirty)
    #expect(kernel.segments.count > 1)
    var end: UInt64 = 0
    for segment in kernel.segments {
      #expect(
        try loaded.holds(kernel.elf[segment.offset..<segment.offset + segment.size], at: segment.address))
      let zeroes = segment.address + UInt64(segment.size)
      #expect(try loaded.firstNonzero(zeroes..<segment.address + UInt64(segment.memorySize)) == nil)
      if !isDirty {
        #expect(try loaded.firstNonzero(max(end, PCMap.extendedMemory)..<segment.address) == nil)
      }
      end = segment.address + UInt64(segment.memorySize)
    }
    if !isDirty { #expect(try loaded.firstNonzero(end..<end + (16 << 20)) == nil) }
    #expect(loaded.layout.kernel == (kernel.segments.map(\.address).min() ?? 0)..<end)
    let entry = try #require(kernel.physicalEntry)
    #expect(loaded.layout.entry == .pvh(address: UInt32(entry), startInfo: UInt32(PCMap.startInfo)))
  }

  /// Debian's kernel unpacked with its own compression, and packed again with each of the others.
  @Test(arguments: AMD64Kernels.releases.prefix(1), SampleKernel.compressors.keys.sorted())
  func kernelInEachCompression(release: String, compression: String) throws {
    let kernel = try AMD64Kernels.kernel(release).get()
    let payload = try SampleKernel.compress([UInt8](kernel.elf), with: compression)
    let loaded = try LoadedMemory(SampleKernel.bzImage(payload: payload))
    for segment in kernel.segments {
      #expect(
        try loaded.holds(kernel.elf[segment.offset..<segment.offset + segment.size], at: segment.address))
    }
  }

  @Test(arguments: AMD64Kernels.releases)
  func headerIsTheDocuments(release: String) throws {
    let kernel = try AMD64Kernels.kernel(release).get()
    let file = try Data(contentsOf: URL(fileURLWithPath: kernel.path))
    let image = try BzImage(start: [UInt8](file.prefix(BzImage.startSize)), fileSize: file.count)
    #expect(image.version == 0x20F)
    #expect(image.commandLineLimit == 2047)
    #expect(image.initrdAddressMax == 0x7FFF_FFFF)
    #expect(image.preferredAddress == kernel.segments[0].address)
    #expect(image.loadFlags64 & 0b11 == 0b11)
    let end = kernel.segments.map { $0.address + UInt64($0.memorySize) }.max() ?? 0
    #expect(image.preferredAddress + image.initialSize >= end)
    #expect(image.payload.upperBound <= file.count)
  }
}
