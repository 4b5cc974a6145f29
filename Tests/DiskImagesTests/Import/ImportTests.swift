import DiskImages
import Foundation
import Glibc
import HostSystem
import Testing

/// Images of other systems, made by qemu-img, are read byte for byte.
@Suite struct ImportTests {
  struct Subformat: CustomTestStringConvertible {
    let format: DiskFormat
    let name: String
    let options: String
    /// Whether zeroes are left out.
    var isSparse = true
    /// Whether the disk may be longer than what it was made of.
    var mayGrow = false
    var testDescription: String { "\(name) \(options)" }
  }

  static let subformats = [
    Subformat(format: .vmdk, name: "vmdk", options: "-o subformat=monolithicSparse"),
    Subformat(format: .vmdk, name: "vmdk", options: "-o subformat=monolithicSparse,zeroed_grain=on"),
    Subformat(format: .vmdk, name: "vmdk", options: "-o subformat=streamOptimized"),
    Subformat(format: .vdi, name: "vdi", options: ""),
    Subformat(format: .vdi, name: "vdi", options: "-o static=on", isSparse: false),
    Subformat(format: .vhd, name: "vpc", options: "", mayGrow: true),
    Subformat(format: .vhd, name: "vpc", options: "-o force_size=on"),
    Subformat(format: .vhd, name: "vpc", options: "-o subformat=fixed", isSparse: false, mayGrow: true),
    Subformat(format: .vhd, name: "vpc", options: "-o subformat=fixed,force_size=on", isSparse: false),
    Subformat(format: .vhdx, name: "vhdx", options: ""),
    Subformat(format: .vhdx, name: "vhdx", options: "-o block_size=2M,log_size=2M"),
    Subformat(format: .vhdx, name: "vhdx", options: "-o subformat=fixed", isSparse: false),
    Subformat(format: .vhdx, name: "vhdx", options: "-o block_state_zero=off"),
  ]

  @Test(.enabled(if: SampleImages.hasTool), arguments: subformats)
  func `what qemu-img writes is read`(_ subformat: Subformat) throws {
    let samples = try SampleImages()
    #expect(samples.tool("convert -f raw -O \(subformat.name) \(subformat.options) raw image"))
    let disk = try samples.open("image", subformat.format)
    #expect(disk.isReadOnly)
    let size = samples.pattern.count
    #expect(subformat.mayGrow ? disk.size >= size : disk.size == size)
    let expected = samples.pattern + [UInt8](repeating: 0, count: Int(disk.size) - size)
    #expect(try disk.contents == expected)
    #expect(try disk.contentsByExtents() == expected)
    var generator = Xorshift(seed: 5)
    for _ in 0..<60 {
      let offset = Int(generator.next() % UInt64(expected.count))
      let count = min(expected.count - offset, Int(generator.next() % 300_000))
      #expect(try disk.bytes(UInt64(offset), count) == Array(expected[offset..<offset + count]))
    }
    #expect(throws: Errno.invalid) { try disk.bytes(disk.size - 511, 512) }
    #expect(throws: Errno(EROFS)) { try disk.write([1], at: 0) }
    #expect(throws: Errno(EROFS)) { try disk.discard(at: 0, count: 512) }
    #expect(throws: Errno(EROFS)) { try disk.writeZeroes(at: 0, count: 512, mayUnmap: true) }
  }

  @Test(.enabled(if: SampleImages.hasTool), arguments: subformats)
  func `large disks that are empty`(_ subformat: Subformat) throws {
    guard subformat.isSparse else { return }
    let samples = try SampleImages(size: 512)
    #expect(samples.tool("create -f \(subformat.name) \(subformat.options) image 200G"))
    let disk = try samples.open("image", subformat.format)
    #expect(disk.size >= 200 << 30)
    #expect(try disk.dataBytes() == 0)
    #expect(try disk.bytes(disk.size - 4096, 4096).allSatisfy { $0 == 0 })
  }

  @Test(.enabled(if: SampleImages.hasTool)) func `layers over other images are refused`() throws {
    let samples = try SampleImages(size: 1 << 20)
    #expect(samples.tool("convert -O vmdk raw base.vmdk"))
    #expect(samples.tool("create -f vmdk -b base.vmdk -F vmdk image"))
    #expect(throws: DiskImageError.backingMissing(name: "image", backing: "'base.vmdk'")) {
      try samples.open("image", .vmdk)
    }
    #expect(samples.tool("convert -O vdi raw vdi"))
    var vdi = try samples.bytes("vdi")
    vdi[76] = 4
    #expect(throws: DiskImageError.backingMissing(name: "x", backing: "another image")) {
      try SampleImages.open(vdi, .vdi)
    }
    #expect(samples.tool("convert -O vpc raw vhd"))
    var vhd = try samples.bytes("vhd")
    let footer = vhd.count - 512
    vhd[footer + 63] = 4
    vhd[footer + 67] &-= 1
    #expect(throws: DiskImageError.backingMissing(name: "x", backing: "another image")) {
      try SampleImages.open(vhd, .vhd)
    }
  }

  @Test(.enabled(if: SampleImages.hasTool)) func `descriptors by themselves are never followed`() throws {
    let samples = try SampleImages(size: 1 << 20)
    #expect(samples.tool("convert -O vmdk -o subformat=monolithicFlat raw flat.vmdk"))
    #expect(throws: DiskImageError.elsewhere(name: "flat.vmdk", file: "'flat-flat.vmdk'", format: .raw)) {
      try samples.open("flat.vmdk", .vmdk)
    }
    #expect(try samples.open("flat-flat.vmdk", .raw).contents == samples.pattern)
    #expect(samples.tool("convert -O vmdk -o subformat=twoGbMaxExtentSparse raw split.vmdk"))
    #expect(throws: DiskImageError.elsewhere(name: "split.vmdk", file: "'split-s001.vmdk'", format: .vmdk)) {
      try samples.open("split.vmdk", .vmdk)
    }
    #expect(try samples.open("split-s001.vmdk", .vmdk).contents == samples.pattern)
  }

  @Test(.enabled(if: SampleImages.hasTool)) func `grains of VMDK that were zeroed`() throws {
    let samples = try SampleImages(size: 1 << 20)
    #expect(samples.tool("convert -O vmdk -o subformat=monolithicSparse raw image"))
    var image = try samples.bytes("image")
    func sector(_ offset: Int) -> Int {
      image[offset..<offset + 4].reversed().reduce(0) { $0 << 8 | Int($1) } * 512
    }
    let table = sector(sector(56))
    // The first that is there.
    var grain = 0
    while grain < 15, sector(table + 4 * grain) == 0 { grain += 1 }
    let entry = table + 4 * grain
    image.replaceSubrange(entry..<entry + 4, with: [1, 0, 0, 0] as [UInt8])
    // Only where the header says that there are such; the number is a sector's elsewhere.
    #expect(try SampleImages.open(image, .vmdk).bytes(UInt64(grain) << 16, 65536).contains { $0 != 0 })
    image[8] |= 1 << 2
    var expected = samples.pattern
    let start = grain * 65536
    expected.replaceSubrange(start..<start + 65536, with: [UInt8](repeating: 0, count: 65536))
    #expect(try SampleImages.open(image, .vmdk).contents == expected)
    #expect(try SampleImages.open(image, .vmdk).contentsByExtents() == expected)
  }

  @Test(.enabled(if: SampleImages.hasTool)) func `a VHD with one sound footer`() throws {
    let samples = try SampleImages(size: 1 << 20)
    #expect(samples.tool("convert -O vpc -o force_size=on raw image"))
    let image = try samples.bytes("image")
    var spoilt = image
    spoilt[spoilt.count - 400] ^= 1
    #expect(try SampleImages.open(spoilt, .vhd).contents == samples.pattern)
    spoilt[100] ^= 1
    #expect(throws: DiskImageError.damaged(name: "x", format: .vhd, reason: "wrong checksum of its footer")) {
      try SampleImages.open(spoilt, .vhd)
    }
    // A sector that was never written reads as zero, whatever is there.
    var unwritten = image
    let table = 1536
    let block = unwritten[table..<table + 4].reduce(0) { $0 << 8 | Int($1) } * 512
    unwritten[block] &= 0x7F
    let first = Array(samples.pattern[..<512])
    #expect(try SampleImages.open(image, .vhd).bytes(0, 512) == first)
    let disk = try SampleImages.open(unwritten, .vhd)
    #expect(try disk.bytes(0, 512) == [UInt8](repeating: 0, count: 512))
    #expect(try disk.bytes(512, 1 << 20 - 512) == Array(samples.pattern[512...]))
  }
}
