import DiskImages
import Foundation
import GuestMemory
import HostSystem
import Machine
import MachineControl
import VolaryCommands
import VolaryHost

/// What files say: kernels, overlays, records, Debian's control files; and the control socket's packets.
extension FuzzTarget {
  static let files = [
    FuzzTarget("linux-image", linuxImage), FuzzTarget("linux-loader", linuxLoader),
    FuzzTarget("overlay", overlay), FuzzTarget("control-wire", controlWire),
    FuzzTarget("end-record", endRecord), FuzzTarget("console-ring", consoleRing),
    FuzzTarget("image-record", imageRecord), FuzzTarget("debian-text", debianText),
    FuzzTarget("kernel-module", kernelModule), FuzzTarget("console-log", consoleLog),
  ]

  /// A memory file with these bytes.
  private static func file(_ bytes: [UInt8]) throws -> Descriptor {
    let file = try Descriptor.memory(name: "fuzz")
    try bytes.withUnsafeBytes { try file.writeAll($0) }
    return file
  }

  // MARK: - Kernels

  /// The start of an `Image` that is an EFI executable too, with fields of chance.
  private static func kernelHeader(_ random: inout FuzzRandom) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: LinuxImage.startSize)
    func set(_ value: UInt64, _ size: Int, at offset: Int) {
      guard offset >= 0, offset <= bytes.count - size else { return }
      for index in 0..<size { bytes[offset + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
    }
    bytes[0] = 0x4D
    bytes[1] = 0x5A
    set(random.once(in: 3) ? random.number() : 0x20_0000, 8, at: 8)
    set(random.once(in: 3) ? random.number() : 1 << 20, 8, at: 16)
    bytes.replaceSubrange(0x30..<0x35, with: Array("RISCV".utf8))
    bytes.replaceSubrange(0x38..<0x3C, with: Array("RSC\u{5}".utf8))
    let executable = random.once(in: 4) ? Int(truncatingIfNeeded: random.number() & 0xFFFF_FFFF) : 0x40
    set(UInt64(executable), 4, at: 0x3C)
    set(0x4550, 4, at: executable)
    let sections = random.once(in: 4) ? Int(random.number() & 0xFFFF) : random.below(5)
    set(UInt64(sections), 2, at: executable + 6)
    let optional = random.once(in: 4) ? Int(random.number() & 0xFFFF) : 0xA0
    set(UInt64(optional), 2, at: executable + 20)
    for section in 0..<min(sections, 100) {
      let place = executable + 24 + optional + 40 * section
      set(random.number(), 4, at: place + 16)
      set(random.number(), 4, at: place + 20)
    }
    if random.once(in: 4) { random.mutate(&bytes) }
    return bytes
  }

  private static func linuxImage(_ random: inout FuzzRandom) throws {
    var header = random.once(in: 20) ? random.bytes(random.below(200)) : kernelHeader(&random)
    if random.once(in: 4) { header.removeLast(random.below(header.count + 1)) }
    let image = try LinuxImage(header: header, fileSize: Int(truncatingIfNeeded: random.number() >> 1))
    precondition(image.memorySize > 0)
  }

  /// Whole files into a machine of 64 MiB.
  private static func linuxLoader(_ random: inout FuzzRandom) throws {
    let memory = try GuestMemory(regions: [(VirtMap.memory, 64 << 20)])
    var kernel = kernelHeader(&random)
    kernel += [UInt8](repeating: 0x5A, count: random.below(1 << 16))
    let initrds = try (0..<random.below(4)).map { _ in
      let file = try Descriptor.memory(name: "fuzz")
      try file.truncate(to: Int64(random.once(in: 3) ? random.number() >> 34 : random.number() & 0xFFFF))
      return file
    }
    let layout = try LinuxLoader.load(
      kernel: file(kernel), initrd: initrds, memory: memory, base: VirtMap.memory)
    let end = VirtMap.memory + (64 << 20)
    precondition(layout.kernel >= VirtMap.memory && layout.kernel < end)
    precondition(layout.deviceTree > layout.kernel)
    precondition(layout.deviceTree + LinuxLoader.deviceTreeRoom <= end)
    if let initrd = layout.initrd { precondition(initrd.upperBound <= end) }
  }

  // MARK: - Disks

  private static func overlay(_ random: inout FuzzRandom) throws {
    let baseSize = UInt64(512 * (1 + random.below(300)))
    let base: (any DiskImage)? =
      random.once(in: 5)
      ? nil
      : try DiskImages.open(
        format: .raw, descriptor: file(random.bytes(Int(baseSize))), name: "base", readOnly: true)
    let size = (base == nil ? 512 : baseSize) + 512 * UInt64(random.below(200))
    let descriptor = try Descriptor.memory(name: "fuzz")
    try DiskImages.createOverlay(descriptor: descriptor, name: "overlay", base: base, size: size)
    try spoil(descriptor, &random)
    let disk = try DiskImages.open(
      format: .overlay, descriptor: descriptor, name: "overlay", readOnly: random.once(in: 8), base: base)
    for _ in 0..<random.below(40) {
      let offset = random.once(in: 4) ? random.number() : UInt64(random.below(Int(clamping: disk.size)))
      var bytes = random.bytes(512 * random.below(20))
      switch random.below(5) {
      case 0: try? bytes.withUnsafeBytes { try disk.write(at: offset, from: $0) }
      case 1: try? disk.discard(at: offset, count: random.number())
      case 2:
        try? disk.writeZeroes(at: offset, count: UInt64(random.below(9000)), mayUnmap: random.once(in: 2))
      case 3: try? disk.flush()
      default: try? bytes.withUnsafeMutableBytes { try disk.read(at: offset, into: $0) }
      }
    }
  }

  /// Changes an overlay's header, mostly with a checksum that fits, or its bitmap, or its length.
  private static func spoil(_ file: Descriptor, _ random: inout FuzzRandom) throws {
    var header = [UInt8](repeating: 0, count: 512)
    _ = header.withUnsafeMutableBytes { pread(file.raw, $0.baseAddress, $0.count, 0) }
    if random.once(in: 2) {
      var fields = Array(header[8..<40])
      random.mutate(&fields)
      header.replaceSubrange(8..<8 + min(32, fields.count), with: fields.prefix(32))
      var sum = Fingerprint()
      header[..<504].withUnsafeBytes { sum.add($0) }
      if !random.once(in: 4) {
        for index in 0..<8 { header[504 + index] = UInt8(truncatingIfNeeded: sum.value >> UInt64(8 * index)) }
      }
    }
    if random.once(in: 8) { random.mutate(&header) }
    _ = header.withUnsafeBytes { pwrite(file.raw, $0.baseAddress, $0.count, 0) }
    if random.once(in: 2) {
      let bitmap = random.bytes(random.below(64))
      _ = bitmap.withUnsafeBytes { pwrite(file.raw, $0.baseAddress, $0.count, off_t(1 << 20)) }
    }
    if random.once(in: 4) { try file.truncate(to: Int64(random.number() >> 22)) }
  }

  // MARK: - Control socket

  private static let configuration = MachineConfiguration(
    name: "debian-13", engine: .translator, resetAction: .end, cpus: 4, memory: 2 << 30,
    boot: .kernel(.init(0, initrd: [1, 2], append: "console=ttyS0 quiet")),
    disks: [
      .init(file: 3, layers: [.init(4)], format: .overlay, size: 10 << 30, ephemeral: true, serial: "root")
    ],
    network: .init(frames: 6, mac: [0x52, 0x54, 0, 1, 2, 3], isTAP: true, vhost: 10),
    consolePorts: [.init(name: "org.volary.console", stream: 7)], serial: 9, entropySeed: Array(0..<32),
    record: 11, consoleLog: 12)

  private static let messages: [[UInt8]] = [
    ControlMessage.request(id: 1, .configure(configuration)), .request(id: 2, .balloon(target: 1 << 20)),
    .request(id: 9, .resizeConsole(columns: 80, rows: 25)), .request(id: 3, .descriptors),
    .request(id: 6, .attachConsole(backlog: 4096)), .request(id: 7, .attachPort(name: "agent")),
    .reply(
      id: 4,
      .status(
        MachineStatus(
          state: .running, instructions: [1, 2, 3], processID: 77, guestResets: 1,
          disks: [.init(serial: "root", reads: 5), .init(serial: "data")], network: .init(framesSent: 9),
          guestMemory: .init(free: 1 << 20)))),
    .reply(id: 5, .refused(ControlFailure(.hostRefused, phase: "mapping", message: "Kein Platz — no room"))),
    .event(.guestPoweredOff(code: 1)), .event(.failed(phase: "a", message: "b")),
    .event(.diskFailed(disk: "root", operation: "write", errorNumber: 28)), .event(.warning(line: "hello")),
    .request(id: 8, .attachDisk("data")), .event(.diskLost(disk: "data", reason: "gone")),
  ].map { $0.encoded() }

  private static func controlWire(_ random: inout FuzzRandom) throws {
    var bytes = random.once(in: 10) ? random.bytes(random.below(300)) : random.pick(messages)
    random.mutate(&bytes)
    let message = try ControlMessage(decoding: bytes)
    precondition(message.encoded() == bytes, "a message is written as it was read")
    if case .request(_, .configure(let configuration)) = message {
      try configuration.validate(descriptorCount: random.below(12))
    }
  }

  // MARK: - What machines leave behind

  private static func endRecord(_ random: inout FuzzRandom) throws {
    let event: ControlEvent =
      random.once(in: 2) ? .guestPoweredOff(code: 1) : .failed(phase: "a", message: "b")
    var bytes = random.once(in: 10) ? random.bytes(random.below(300)) : EndRecord.encode(event)
    let isWhole = random.once(in: 4)
    if !isWhole { random.mutate(&bytes) }
    let read = EndRecord.decode(bytes)
    precondition(read?.isEnd != false, "only an end is a record")
    if let read { precondition(EndRecord.encode(read) == Array(bytes.prefix(EndRecord.encode(read).count))) }
  }

  private static func consoleRing(_ random: inout FuzzRandom) throws {
    let file = try Descriptor.memory(name: "fuzz")
    var writer = try ConsoleRingWriter(file)
    try writer.append(random.bytes(random.below(random.once(in: 20) ? 600_000 : 100)))
    if random.once(in: 2) {
      var header = try file.read(64, at: 0)
      random.mutate(&header)
      try file.writeAll(header[...], at: 0)
    }
    if random.once(in: 4) { try file.truncate(to: Int64(random.below(300_000))) }
    let output = try ConsoleRing.read(
      last: Int(truncatingIfNeeded: random.number() >> UInt64(random.below(64))), from: file)
    precondition(output.bytes.count <= ConsoleRing.readable)
    var next = try ConsoleRingWriter(file)
    try next.append([1, 2, 3])
    let kept = try ConsoleRing.read(last: 3, from: file)
    precondition(kept.bytes == [1, 2, 3], "output is kept, whatever was there")
  }

  // MARK: - The image store and Debian's files

  private static let record = Array(
    """
    {"version": 1, "name": "debian/13", "architecture": "riscv64", "created_at": "2026-01-01T00:00:00Z",
     "source": "Debian 13 (trixie)", "kernel_size": 100, "initrd_size": 6, "disk_size": 1048576,
     "stored_size": 1, "kernel_release": "6.12", "packages": {"apt": "3.0.3"}, "build_seconds": 60.5}
    """.utf8)

  private static func imageRecord(_ random: inout FuzzRandom) throws {
    var text = record
    random.mutate(&text)
    let read = try ImageRecord.decoder.decode(ImageRecord.self, from: Data(text))
    for format in ListFormat.allCases { _ = try ImageTable.text([read], format: format) }
    var again = try ImageRecord.decoder.decode(ImageRecord.self, from: ImageRecord.encoder.encode(read))
    // Parts of a second are not kept.
    again.createdAt = read.createdAt
    precondition(again == read, "a record is read as it was written")
    let name = try ImageName(read.name)
    precondition(!name.folderName(read.architecture).contains("/"), "an image has a folder of its own")
  }

  private static let control = Array(
    """
    Package: libc6
    Architecture: riscv64
    Multi-Arch: same
    Depends: libgcc-s1, libcrypt1 (>= 1:4.4.10-10~)
    Conffiles:
     /etc/ld.so.conf.d/riscv64-linux-gnu.conf d4e7a7b88a71b5ffd9e2644e71a0cfab
    Description: GNU C Library: Shared libraries
     Contains the standard libraries.
     .
     More.

    Types: deb deb-src
    URIs: http://deb.debian.org/debian
    Suites: trixie trixie-updates
    Components: main
    Enabled: yes
    Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

    deb [ arch=riscv64 signed-by=/k.gpg ] http://deb.debian.org/debian trixie main # why
    kernel/fs/ext4/ext4.ko.xz: kernel/lib/crc16.ko.xz kernel/fs/jbd2/jbd2.ko.xz kernel/fs/mbcache.ko.xz
    kernel/fs/jbd2/jbd2.ko.xz: kernel/fs/ext4/ext4.ko.xz
    Acquire::http::Proxy "http://proxy:3142";
    """.utf8)

  private static func debianText(_ random: inout FuzzRandom) throws {
    var bytes = control
    random.mutate(&bytes)
    let text = String(decoding: bytes, as: UTF8.self)
    for paragraph in DebianControl.parse(text) {
      _ = DebianControl.text(paragraph)
      _ = paragraph.words("Depends")
    }
    _ = AptSource.parseOneLine(text)
    _ = AptSource.parseDeb822(text)
    _ = GuestSettings.parseAptSettings(text)
    let modules = ModuleDependencies(parsing: text)
    _ = modules.insertionOrder(modules.paths)
    for word in text.split(separator: " ").prefix(50) { _ = ByteSize(String(word)) }
  }

  /// A relocatable ELF file of a few sections, with fields of chance.
  private static func kernelModule(_ random: inout FuzzRandom) throws {
    let names = Array("\0.text\0.BTF\0.symtab\0.strtab\0.rela.text\0.shstrtab\0".utf8)
    let nameOffsets = [0, 1, 7, 12, 20, 28, 39]
    // Null, code, type data, symbols, their names, relocations, section names.
    let types: [UInt32] = [0, 1, 1, 2, 3, 4, 3]
    let contents: [[UInt8]] = [
      [], random.bytes(64), random.bytes(32), random.bytes(24 * random.below(8)),
      Array("\0init\0cleanup\0".utf8), random.bytes(24 * random.below(8)), names,
    ]
    var file: [UInt8] = [0x7F, 0x45, 0x4C, 0x46, 2, 1, 1] + [UInt8](repeating: 0, count: 57)
    func append(_ value: UInt64, _ size: Int) {
      for index in 0..<size { file.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * index))) }
    }
    var offsets: [Int] = []
    for content in contents {
      offsets.append(file.count)
      file += content
    }
    let table = file.count
    for index in contents.indices {
      append(UInt64(nameOffsets[index]), 4)
      append(UInt64(types[index]), 4)
      append(0, 16)
      append(UInt64(offsets[index]), 8)
      append(UInt64(contents[index].count), 8)
      append(index == 3 ? 4 : index == 5 ? 3 : 0, 4)
      append(index == 5 ? 1 : 0, 4)
      append(8, 8)
      append(24, 8)
    }
    func set(_ value: Int, _ size: Int, at offset: Int) {
      for index in 0..<size { file[offset + index] = UInt8(truncatingIfNeeded: value >> (8 * index)) }
    }
    set(1, 2, at: 0x10)
    set(table, 8, at: 0x28)
    set(64, 2, at: 0x3A)
    set(contents.count, 2, at: 0x3C)
    set(6, 2, at: 0x3E)
    if !random.once(in: 8) { random.mutate(&file) }
    let size = file.count
    if let stripped = ModuleStripper.strip(file) { precondition(stripped.count < 64 * size + 4096 * 64) }
  }

  /// What a guest sends to a console, for whoever reads its last lines.
  private static func consoleLog(_ random: inout FuzzRandom) throws {
    var log = ConsoleLog()
    let pieces = ["\u{1b}[31m", "\r\n", "Kernel panic - not syncing: ", "---[ end Kernel panic", "\t", "é"]
    for _ in 0..<random.below(60) {
      let piece = random.once(in: 3) ? random.bytes(random.below(600)) : Array(random.pick(pieces).utf8)
      log.append(piece) { line in precondition(line.utf8.count <= 3 * 400) }
    }
    for line in log.last(300) {
      precondition(
        line.unicodeScalars.allSatisfy { $0.value >= 0x20 || $0 == "\t" }, "harmless to a terminal")
    }
    _ = (log.panic, log.endsInPanic)
  }
}
