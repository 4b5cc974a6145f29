import Foundation
import HostPrograms
import Testing
import VolaryHost

/// Against isoinfo of cdrtools' heirs, which did not learn the format from us.
@Suite(.enabled(if: hasProgram("isoinfo"), "genisoimage is not installed")) struct ISOImageTests {
  private static let contents = [
    "meta-data": Data("{}\n".utf8), "user-data": Data((0..<5000).map { UInt8(truncatingIfNeeded: $0 &* 7) }),
    "network-config": Data(), "vendor-data": Data(repeating: 65, count: 2048),
  ]

  private func write() throws -> (TemporaryFolder, String) {
    var image = ISOImage(label: "cidata")
    for (name, data) in Self.contents.sorted(by: { $0.key > $1.key }) { image.addFile(name, Array(data)) }
    let bytes = image.bytes
    #expect(bytes.count.isMultiple(of: 2048))
    let folder = try TemporaryFolder()
    let file = folder.url.appendingPathComponent("image.iso")
    try Data(bytes).write(to: file)
    return (folder, file.path)
  }

  @Test(arguments: Self.contents.keys.sorted()) func contentsAreFound(name: String) throws {
    let (folder, file) = try write()
    defer { withExtendedLifetime(folder) {} }
    let byName = try run("isoinfo", ["-J", "-i", file, "-x", "/\(name);1"])
    #expect(byName == Self.contents[name])
    let short = String(name.uppercased().replacingOccurrences(of: "-", with: "_").prefix(8))
    #expect(try run("isoinfo", ["-i", file, "-x", "/\(short).;1"]) == Self.contents[name])
  }

  @Test func volumeHasItsNameAndSize() throws {
    let (folder, file) = try write()
    defer { withExtendedLifetime(folder) {} }
    let said = String(decoding: try run("isoinfo", ["-d", "-i", file]), as: UTF8.self)
    #expect(said.contains("Volume id: cidata\n"))
    #expect(said.contains("Logical block size is: 2048\n"))
    #expect(said.contains("Joliet with UCS level 3 found"))
    let size = try Data(contentsOf: URL(fileURLWithPath: file)).count
    #expect(said.contains("Volume size is: \(size / 2048)\n"))
    let listing = String(decoding: try run("isoinfo", ["-J", "-f", "-i", file]), as: UTF8.self)
    #expect(listing == "/meta-data;1\n/network-config;1\n/user-data;1\n/vendor-data;1\n")
  }
}
