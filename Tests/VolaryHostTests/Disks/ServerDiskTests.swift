import DiskImages
import Foundation
import Glibc
import HostPrograms
import HostSystem
import Testing

import VolaryHost

/// Disks of servers as source and target of conversions.
@Suite struct ServerDiskTests {
  /// nbdkit over a file, or over memory.
  private static func withServer(
    _ arguments: [String], in folder: TemporaryFolder, _ body: (_ location: String) throws -> Void
  ) throws {
    let socket = folder.url.appendingPathComponent("socket").path
    unlink(socket)
    let server = try ProgramRun("nbdkit", ["-f", "-U", socket] + arguments)
    try server.awaitListener(at: socket)
    try withExtendedLifetime(server) { try body("nbd+unix:///?socket=\(socket)") }
  }

  @Test func `there and back`() throws {
    let folder = try TemporaryFolder()
    func path(_ name: String) -> String { folder.url.appendingPathComponent(name).path }
    var contents = Data(count: 3 << 20)
    for place in stride(from: 4096, to: 1 << 20, by: 3000) { contents[place] = UInt8(place % 251 + 1) }
    try contents.write(to: URL(fileURLWithPath: path("raw")))
    try DiskConversion(to: .qcow2).run(DiskSource(path("raw"), format: .raw), to: path("qcow2"))
    // Larger than what comes there.
    try Self.withServer(["memory", "4M"], in: folder) { location in
      try DiskConversion(to: .raw).run(DiskSource(path("qcow2")), to: location)
      try DiskConversion(to: .raw).run(DiskSource(location), to: path("back"))
      #expect(try Data(contentsOf: URL(fileURLWithPath: path("back"))) == contents + Data(count: 1 << 20))
      let layer = try #require(DiskInformation.layers(of: location, format: nil, backing: nil).first)
      #expect(layer.format == "raw" && layer.size == 4 << 20 && layer.fileSize == 4 << 20)
      #expect(layer.dataSize.map { $0 > 0 && $0 < 2 << 20 } == true)
      // It holds something now.
      #expect {
        try DiskConversion(to: .raw).run(DiskSource(path("qcow2")), to: location)
      } throws: { ($0 as? ImageError)?.code == .conflict }
      try Data(count: 1 << 20).write(to: URL(fileURLWithPath: path("zeroes")))
      var conversion = DiskConversion(to: .raw)
      conversion.replaces = true
      try conversion.run(DiskSource(path("zeroes"), format: .raw), to: location)
      #expect(try DiskInformation.layers(of: location, format: nil, backing: nil)[0].dataSize == 0)
      #expect {
        try DiskConversion(to: .qcow2).run(DiskSource(path("qcow2")), to: location)
      } throws: { ($0 as? ImageError)?.code == .usage }
    }
    try Self.withServer(["memory", "1M"], in: folder) { location in
      #expect {
        try DiskConversion(to: .raw).run(DiskSource(path("qcow2")), to: location)
      } throws: { "\($0)".contains("make it larger") }
    }
    // An image in a format of its own on a server's disk.
    try Self.withServer(["file", path("qcow2")], in: folder) { location in
      try DiskConversion(to: .raw).run(DiskSource(location, format: .qcow2), to: path("again"))
      #expect(try Data(contentsOf: URL(fileURLWithPath: path("again"))) == contents)
    }
    #expect { try DiskSource("nbd+unix:///?socket=/nowhere") } throws: {
      "\($0)".contains("cannot use nbd+unix:///?socket=/nowhere: ")
    }
  }
}
