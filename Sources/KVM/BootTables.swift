package import GuestMemory

/// The descriptor table and page tables that a 64-bit kernel is entered with: flat segments, and addresses that
/// are what they are (Intel SDM volume 3A, 4.5).
package struct BootTables: Equatable, Sendable {
  /// Where they begin.
  package let address: UInt64
  /// GiB of addresses that are mapped, from 0.
  package let gigabytes: Int

  /// Bytes from ``address`` on.
  package var size: Int { (3 + gigabytes) * GuestMemory.pageSize }

  var globalDescriptors: UInt64 { address }
  var pageMapLevel4: UInt64 { address + 0x1000 }
  private var pageDirectoryPointers: UInt64 { address + 0x2000 }
  private func pageDirectory(_ gigabyte: Int) -> UInt64 { address + 0x3000 + 0x1000 * UInt64(gigabyte) }

  /// Entries of the descriptor table where Linux wants them (Documentation/arch/x86/boot.rst, 64-bit boot
  /// protocol): nothing, nothing, 64-bit code at 0x10, data at 0x18.
  static let descriptors: [UInt64] = [0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff]
  static let codeSelector: UInt16 = 0x10
  static let dataSelector: UInt16 = 0x18

  private enum Page {
    static let presentWritable: UInt64 = 0b11
    /// 2 MiB.
    static let large: UInt64 = 1 << 7
  }

  /// Writes tables for the first `gigabytes` GiB (1 to 512) at a page-aligned address.
  package init(in memory: GuestMemory, at address: UInt64, gigabytes: Int = 4) throws(GuestMemoryError) {
    precondition(address % 4096 == 0 && (1...512).contains(gigabytes))
    self.address = address
    self.gigabytes = gigabytes
    var words = [UInt64](repeating: 0, count: size / 8)
    for (number, descriptor) in Self.descriptors.enumerated() { words[number] = descriptor }
    words[0x1000 / 8] = pageDirectoryPointers | Page.presentWritable
    for gigabyte in 0..<gigabytes {
      words[0x2000 / 8 + gigabyte] = pageDirectory(gigabyte) | Page.presentWritable
      for entry in 0..<512 {
        let target = UInt64(gigabyte) << 30 | UInt64(entry) << 21
        words[0x3000 / 8 + gigabyte * 512 + entry] = target | Page.large | Page.presentWritable
      }
    }
    let slice = try memory.slice(at: address, count: size)
    words.withUnsafeBytes { slice.copy(from: $0) }
  }
}
