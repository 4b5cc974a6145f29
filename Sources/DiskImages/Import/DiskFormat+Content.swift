package import HostSystem

extension DiskFormat {
  /// The format that a file's contents look like; raw when they look like none. For a file that a person names
  /// and nobody else wrote to: what is on a raw disk is its guest's to choose, and so then is the answer.
  package static func told(by file: any ImageFile) throws(Errno) -> DiskFormat {
    let size = try file.size()
    let first = Fields(try file.bytes(at: 0, count: Int(min(size, 512))))
    let beginnings: [(DiskFormat, [UInt8])] = [
      (.qcow2, [0x51, 0x46, 0x49, 0xFB]), (.vmdk, Array(VMDKHeader.magic.utf8)), (.vmdk, Array("COWD".utf8)),
      (.vmdk, Array(VMDKDescriptor.start.utf8)), (.vhdx, Array("vhdxfile".utf8)),
      (.vhd, Array(VHDFooter.cookie.utf8)), (.overlay, OverlayHeader.magic),
    ]
    if let found = beginnings.first(where: { first.bytes.starts(with: $0.1) }) { return found.0 }
    if first.bytes.count >= 68, first.little(UInt32.self, at: 64) == VDIHeader.signature { return .vdi }
    // A fixed disk of Virtual PC's has only an end.
    if size > 512, size % 512 == 0 {
      let last = Fields(try file.bytes(at: size - 512, count: 512))
      if VHDFooter.isSound(last) { return .vhd }
    }
    return .raw
  }
}
