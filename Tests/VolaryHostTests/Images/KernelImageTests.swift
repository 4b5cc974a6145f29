import Foundation
import Testing
import VolaryHost

/// Which architecture a kernel is for, by the words in its header.
@Suite struct KernelImageTests {
  private func header(_ words: [(offset: Int, text: [UInt8])], count: Int = 0x208) -> Data {
    var bytes = [UInt8](repeating: 0, count: count)
    for (offset, text) in words { bytes.replaceSubrange(offset..<offset + text.count, with: text) }
    return Data(bytes)
  }

  private static let bootSector: (Int, [UInt8]) = (0x1FE, [0x55, 0xAA])
  private static let protocolHeader: (Int, [UInt8]) = (0x202, Array("HdrS".utf8))

  @Test func architectureIsTold() {
    let riscv64: [(Int, [UInt8])] = [(0x30, Array("RISCV".utf8)), (0x38, Array("RSC\u{5}".utf8))]
    #expect(KernelImage.architecture(header: header(riscv64)) == .riscv64)
    #expect(KernelImage.architecture(header: header(riscv64, count: 0x40)) == .riscv64)
    #expect(KernelImage.architecture(header: header([(0x38, Array("ARMd".utf8))])) == .arm64)
    let amd64 = header([Self.bootSector, Self.protocolHeader])
    #expect(KernelImage.architecture(header: amd64) == .amd64)
  }

  @Test func whatIsNoneIsNone() {
    #expect(KernelImage.architecture(header: Data()) == nil)
    #expect(KernelImage.architecture(header: header([])) == nil)
    // A disk's boot sector, and words without one.
    #expect(KernelImage.architecture(header: header([Self.bootSector])) == nil)
    #expect(KernelImage.architecture(header: header([Self.protocolHeader])) == nil)
  }
}
