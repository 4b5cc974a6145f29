import Foundation
import Glibc
import HostSystem
import Testing

/// `volary image` with files of the person's own.
@Suite struct ImageFileTests {
  private let installation: TestInstallation
  private var folder: String { installation.folder + "/files" }

  init() throws {
    installation = try TestInstallation()
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
  }

  private func write(_ bytes: [UInt8], _ name: String) throws -> String {
    try Data(bytes).write(to: URL(fileURLWithPath: "\(folder)/\(name)"))
    return "\(folder)/\(name)"
  }

  private func contents(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(folder)/\(name)")))
  }

  private var names: [String] {
    get throws { try FileManager.default.contentsOfDirectory(atPath: folder).sorted() }
  }

  private func image(_ arguments: String...) throws -> TestInstallation.Outcome {
    try installation.run(["image"] + arguments)
  }

  @Test func `converts, and says which formats it took`() throws {
    let disk = [UInt8](repeating: 0, count: 1 << 20) + [UInt8](repeating: 5, count: 1 << 20)
    let raw = try write(disk, "raw")
    let there = try image("convert", raw, "\(folder)/a.vmdk")
    #expect(there.exit == .code(0) && there.output.isEmpty)
    #expect(there.errors == "\(raw) is read as raw, \(folder)/a.vmdk written as vmdk\n")
    let stated = try image("convert", "-f", "vmdk", "-O", "vdi", "\(folder)/a.vmdk", "\(folder)/b")
    #expect(stated.exit == .code(0) && stated.errors.isEmpty)
    #expect(try image("convert", "--quiet", "\(folder)/b", "\(folder)/c").errors.isEmpty)
    #expect(try contents("c") == disk)
    let again = try image("convert", "-f", "raw", "-O", "raw", raw, "\(folder)/c")
    #expect(again.exit == .code(5) && again.errors.contains("--force"))
    #expect(try image("convert", "-f", "vhd", raw, "\(folder)/d").exit == .code(1))
    #expect(try image("convert", "-f", "zip", raw, "\(folder)/d").exit == .code(2))
    #expect(try image("convert", "\(folder)/nothing", "\(folder)/d").exit == .code(4))
    #expect(try names == ["a.vmdk", "b", "c", "raw"])
    let info = try image("info", "\(folder)/b", "-f", "json")
    let layers = try #require(
      try JSONSerialization.jsonObject(with: Data(info.output.utf8)) as? [[String: Any]])
    #expect(
      layers.count == 1 && layers[0]["format"] as? String == "vdi" && layers[0]["size"] as? Int == 2 << 20)
  }

  @Test(arguments: [SIGINT, SIGTERM]) func `leaves nothing when it is ended`(_ signal: Int32) throws {
    var bytes = [UInt8](repeating: 0, count: 64 << 20)
    var state: UInt64 = 1
    bytes.withUnsafeMutableBytes { bytes in
      let words = bytes.assumingMemoryBound(to: UInt64.self)
      for index in words.indices {
        state = state &* 6_364_136_223_846_793_005 &+ 1
        words[index] = state
      }
    }
    let raw = try write(bytes, "raw")
    let running = try installation.start(["image", "convert", raw, "\(folder)/a.vmdk"])
    // Until it writes.
    while try names.count < 2, try !running.errors.waitUntilReadable(milliseconds: 10) {}
    while try names.count < 2 { usleep(1000) }
    kill(running.process.identifier, signal)
    let outcome = try running.finish()
    // It may have been done already, and on its way out.
    #expect([.code(128 + signal), .code(0), .signal(signal)].contains(outcome.exit))
    if outcome.exit == .code(128 + signal) {
      #expect(try names == ["raw"])
    } else {
      #expect(try names == ["a.vmdk", "raw"])
      #expect(try image("convert", "-q", "-O", "raw", "\(folder)/a.vmdk", "\(folder)/b").exit == .code(0))
      #expect(try contents("b") == bytes)
    }
  }

  @Test func `imports a disk and exports an OVA, which it imports again`() throws {
    let disk = [UInt8](repeating: 5, count: 1 << 20) + [UInt8](repeating: 0, count: 1 << 20)
    let raw = try write(disk, "raw")
    #expect(try image("convert", "-q", "-O", "vhdx", raw, "\(folder)/disk.vhdx").exit == .code(0))
    let imported = try image("import", "\(folder)/disk.vhdx", "my/disk")
    #expect(imported.exit == .code(0) && imported.errors.contains("is read as vhdx"))
    #expect(try image("import", raw, "my/disk").exit == .code(5))
    #expect(try image("import", raw, "other", "--arch", "riscv64").exit == .code(2))
    #expect(try image("import", "\(folder)/nothing", "other").exit == .code(4))
    #expect(try image("list", "-q").output == "my/disk\n")
    #expect(try image("export", "my/disk", "\(folder)/out.ova", "--cpus", "2").exit == .code(0))
    #expect(try image("import", "\(folder)/out.ova", "again").exit == .code(0))
    #expect(try image("export", "again", "\(folder)/out.raw").exit == .code(0))
    #expect(try contents("out.raw") == disk)
    // Firmware starts it, so that there is nobody to carry out a command.
    let run = try installation.run(["run", "my/disk", "--", "true"])
    #expect(run.exit != .code(0) && run.errors.contains("programs"))
  }
}
