/// A writer of the `newc` archives that Linux unpacks as initramfs
/// (Documentation/driver-api/early-userspace/buffer-format.rst).
///
/// Files belong to root and bear no time, so that equal contents make equal archives.
package struct CpioArchive {
  package private(set) var bytes: [UInt8] = []
  private var inode: UInt32 = 0

  package init() {}

  /// Adds a folder; folders come before what is in them.
  package mutating func addFolder(_ name: String, mode: UInt32 = 0o755) {
    add(name, mode: 0o040000 | mode, links: 2)
  }

  package mutating func addFile(_ name: String, _ contents: some Collection<UInt8>, mode: UInt32 = 0o644) {
    add(name, mode: 0o100000 | mode, contents: contents)
  }

  package mutating func addLink(_ name: String, to target: String) {
    add(name, mode: 0o120777, contents: Array(target.utf8))
  }

  package mutating func addCharacterDevice(_ name: String, major: UInt32, minor: UInt32, mode: UInt32 = 0o600)
  {
    add(name, mode: 0o020000 | mode, device: (major, minor))
  }

  /// Ends the archive, so that another can follow in the same file.
  package mutating func finish() {
    inode = .max
    add("TRAILER!!!", mode: 0)
    pad(to: 512)
  }

  private mutating func add(
    _ name: String, mode: UInt32, links: UInt32 = 1, device: (major: UInt32, minor: UInt32) = (0, 0),
    contents: some Collection<UInt8> = EmptyCollection<UInt8>()
  ) {
    inode &+= 1
    precondition(contents.count <= UInt32.max, "the format's sizes have 32 bits")
    bytes += "070701".utf8
    // Inode, mode, owner, group, links, time, size, device of the file, device it is, name, sum.
    for field in [
      inode, mode, 0, 0, links, 0, UInt32(contents.count), 0, 0, device.major, device.minor,
      UInt32(name.utf8.count + 1), 0,
    ] {
      let digits = String(field, radix: 16)
      bytes += String(repeating: "0", count: 8 - digits.count).utf8
      bytes += digits.utf8
    }
    bytes += name.utf8
    bytes.append(0)
    pad(to: 4)
    bytes += contents
    pad(to: 4)
  }

  private mutating func pad(to alignment: Int) {
    while !bytes.count.isMultiple(of: alignment) { bytes.append(0) }
  }
}
