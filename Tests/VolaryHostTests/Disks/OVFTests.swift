import DiskImages
import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

import VolaryHost

/// Machines in packages: read as others describe them, and written as others read them.
@Suite struct OVFTests {
  /// As VirtualBox describes a machine, in what matters.
  static let virtualBox = """
    <?xml version="1.0"?>
    <Envelope ovf:version="1.0" xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1" xmlns:rasd="r" xmlns:vbox="v">
      <References><File ovf:id="file1" ovf:href="d-disk001.vmdk"/></References>
      <DiskSection><Info>i</Info>
        <Disk ovf:capacity="8589934592" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized" vbox:uuid="u"/>
      </DiskSection>
      <VirtualSystem ovf:id="Debian"><Info/>
        <OperatingSystemSection ovf:id="96"><Info/><Description>Debian_64</Description></OperatingSystemSection>
        <VirtualHardwareSection><Info/>
          <Item><rasd:Caption>2 virtual CPU</rasd:Caption><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
          <Item><rasd:AllocationUnits>MegaBytes</rasd:AllocationUnits><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>2048</rasd:VirtualQuantity></Item>
          <Item><rasd:HostResource>/disk/vmdisk1</rasd:HostResource><rasd:InstanceID>7</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType></Item>
          <Item><rasd:Connection>NAT</rasd:Connection><rasd:InstanceID>8</rasd:InstanceID><rasd:ResourceType>10</rasd:ResourceType></Item>
        </VirtualHardwareSection>
        <vbox:Machine ovf:required="false"><Hardware><Firmware type="EFI"/></Hardware></vbox:Machine>
      </VirtualSystem>
    </Envelope>
    """

  @Test func `a descriptor of VirtualBox`() throws {
    let read = try OVFDescriptor(parsing: Array(Self.virtualBox.utf8))
    var expected = OVFDescriptor(name: "Debian")
    expected.cpus = 2
    expected.memory = 2 << 30
    expected.disks = [.init(capacity: 8 << 30, file: "d-disk001.vmdk", format: .vmdk)]
    expected.networkCards = [.init(network: "NAT", address: nil)]
    expected.firmware = .efi
    expected.systemType = 96
    expected.system = "Debian_64"
    #expect(read == expected)
  }

  @Test func `units of sizes`() {
    for (text, factor): (String, UInt64?) in [
      ("byte", 1), ("byte * 2^30", 1 << 30), ("bytes*10^9", 1_000_000_000), ("MegaBytes", 1 << 20),
      ("byte * 1024 * 2^10", 1 << 20), ("byte * 2^63", 1 << 63), ("byte * 2^64", nil), ("bit", nil),
      ("byte *", nil),
      ("byte * 99999999999999999999", nil), ("byte * 2^-1", nil), ("byte * 2^2^2", nil), ("", nil),
      ("byte * 18446744073709551615 * 2", nil),
    ] { #expect(OVFDescriptor.factor(of: text) == factor, "\(text)") }
  }

  @Test(arguments: [
    ("d-disk001.vmdk", "../../etc/passwd"), ("d-disk001.vmdk", "/dev/sda"),
    ("d-disk001.vmdk", "http://host/x"),
    ("ovf:href=", "ovf:compression=\"gzip\" ovf:href="), ("ovf:href=", "ovf:chunkSize=\"9\" ovf:href="),
    ("8589934592", "${size}"), ("8589934592", "99999999999999999999"),
    ("fileRef=\"file1\"", "fileRef=\"file2\""),
    ("fileRef=", "parentRef=\"x\" ovf:fileRef="), ("/disk/vmdisk1", "/disk/other"), (">2048<", ">-1<"),
    ("MegaBytes", "furlongs"), ("<rasd:VirtualQuantity>2<", "<rasd:VirtualQuantity>0<"),
    ("VirtualSystem ", "VirtualSystemCollection "), ("Envelope", "Letter"),
    ("VirtualHardwareSection", "Other"),
    ("</DiskSection>", ""),
  ])
  func `descriptors that are refused`(_ old: String, _ new: String) {
    let text = Self.virtualBox.replacingOccurrences(of: old, with: new)
    #expect(throws: OVFError.self) { try OVFDescriptor(parsing: Array(text.utf8)) }
  }

  /// A store with an image of a disk, and the disk.
  static func store(_ folder: TemporaryFolder) throws -> (ImageStore, StoredImage, disk: [UInt8]) {
    var disk = [UInt8](repeating: 0, count: 3 << 20 + 512)
    for index in 0..<200_000 { disk[index] = UInt8(truncatingIfNeeded: index &* index >> 7) }
    for index in (2 << 20)..<(2 << 20 + 5000) { disk[index] = 7 }
    let file = folder.url.appendingPathComponent("disk")
    try Data(disk).write(to: file)
    let store = ImageStore(data: folder.url.appendingPathComponent("data"))
    let importing = try DiskImport(
      store: store, name: ImageName("my/disk"), architecture: .amd64, replaces: false)
    let image = try importing.run(DiskImport.Machine(DiskSource(file.path, format: .raw)))
    return (store, image, disk)
  }

  @Test func `an image goes out as an OVA and comes in again`() throws {
    let folder = try TemporaryFolder()
    let (store, image, disk) = try Self.store(folder)
    #expect(image.kernel == nil && image.record.version == 2 && image.record.firmware == "uefi")
    #expect([UInt8](try Data(contentsOf: #require(image.disk))) == disk)
    let ova = folder.url.appendingPathComponent("out.ova").path
    var export = ImageExport(image)
    export.cpus = 3
    export.memory = 3 << 30
    try export.run(as: .ova, to: ova)
    let first = try Data(contentsOf: URL(fileURLWithPath: ova))
    #expect(throws: ImageError.self, "it is there") { try export.run(as: .ova, to: ova) }
    export.replaces = true
    try export.run(as: .ova, to: ova)
    #expect(try Data(contentsOf: URL(fileURLWithPath: ova)) == first, "the same again")
    // By tar, coreutils and python.
    let there = folder.url.appendingPathComponent("there")
    try FileManager.default.createDirectory(at: there, withIntermediateDirectories: false)
    _ = try run("tar", ["-xf", ova], in: there)
    let names = try FileManager.default.contentsOfDirectory(atPath: there.path).sorted()
    #expect(names == ["out-disk1.vmdk", "out.mf", "out.ovf"])
    let listed = String(decoding: try run("tar", ["-tf", ova]), as: UTF8.self)
    #expect(listed == "out.ovf\nout.mf\nout-disk1.vmdk\n")
    for line in try String(contentsOf: there.appendingPathComponent("out.mf"), encoding: .utf8).split(
      separator: "\n")
    {
      let name = String(line.dropFirst("SHA256(".count).prefix { $0 != ")" })
      let sum = String(decoding: try run("sha256sum", [name], in: there), as: UTF8.self)
      #expect(sum.prefix(64) == line.suffix(64))
    }
    if hasProgram("python3") {
      _ = try run(
        "python3",
        [
          "-c",
          "import sys, tarfile, xml.dom.minidom as m; m.parse('out.ovf'); tarfile.open(sys.argv[1]).getmembers()",
          ova,
        ],
        in: there)
    }
    if hasProgram("qemu-img") {
      _ = try run("qemu-img", ["check", "out-disk1.vmdk"], in: there)
      _ = try run(
        "qemu-img", ["compare", "-f", "vmdk", "-F", "raw", "out-disk1.vmdk", #require(image.disk).path],
        in: there)
    }
    // As an archive, and as a descriptor with its files beside it.
    for path in [ova, there.appendingPathComponent("out.ovf").path] {
      let package = try OVFPackage(path)
      #expect(package.descriptor.name == "my/disk" && package.descriptor.firmware == .efi)
      let importing = try DiskImport(
        store: store, name: ImageName("again"), architecture: .amd64, replaces: true)
      let again = try importing.run(DiskImport.Machine(package, path: path))
      #expect([UInt8](try Data(contentsOf: #require(again.disk))) == disk)
      #expect(again.record.cpus == 3 && again.record.memory == 3 << 30)
    }
    #expect(store.list().map(\.record.name) == ["again", "my/disk"])
  }

  @Test func `packages that were changed`() throws {
    let folder = try TemporaryFolder()
    let (_, image, _) = try Self.store(folder)
    let ova = folder.url.appendingPathComponent("x.ova").path
    try ImageExport(image).run(as: .ova, to: ova)
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: ova)))
    func check(_ bytes: [UInt8]) throws {
      let package = try OVFPackage(TarTests.file(bytes), name: "x.ova", beside: nil)
      try package.checkManifest()
    }
    try check(bytes)
    var spoilt = bytes
    spoilt[bytes.count / 2] ^= 1
    #expect(throws: ImageError.self) { try check(spoilt) }
    spoilt = bytes
    spoilt[600 + 10_000] ^= 1
    #expect(throws: ImageError.self) { try check(spoilt) }
    // Without its disk; in another order.
    let disk = 512 + 16384 + 1024
    #expect(throws: ImageError.self) { try check(Array(bytes[..<disk]) + [UInt8](repeating: 0, count: 1024)) }
    #expect(throws: ImageError.self) { try check(Array(bytes[(512 + 16384)...])) }
    // A manifest that forgets the disk, and digests of another kind.
    let manifest = try #require(OVFManifest(parsing: Array("SHA1 (a b.ovf) = ABC\nSHA256(x)= 01\n\n".utf8)))
    #expect(
      manifest.entries == [
        .init(name: "a b.ovf", algorithm: .sha1, digest: "abc"),
        .init(name: "x", algorithm: .sha256, digest: "01"),
      ])
    for text in ["MD5(x)= 1", "x", "SHA1(x 1", "SHA512(x)= 1"] {
      #expect(OVFManifest(parsing: Array(text.utf8)) == nil)
    }
  }
}
