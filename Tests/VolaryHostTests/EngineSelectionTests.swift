import Foundation
import Glibc
import HostSystem
import MachineControl
import Testing
import VolaryHost

/// What is chosen to execute guest code, and what is said where nothing can.
@Suite struct EngineSelectionTests {
  private func failure(
    _ wanted: MachineConfiguration.Engine, _ architecture: MachineConfiguration.Architecture,
    path: String = "/no/such/kvm"
  ) -> VolaryError? {
    do {
      _ = try EngineSelection(wanted, for: architecture, cpus: 1, path: path)
      return nil
    } catch {
      return error
    }
  }

  @Test func riscv64NeedsNoKVM() throws {
    let chosen = try EngineSelection(.auto, for: .riscv64, cpus: 1, path: "/no/such/kvm")
    #expect(chosen.engine == .auto && chosen.device == nil)
    #expect(chosen.reason?.contains("translator") == true)
    let asked = try EngineSelection(.interpreter, for: .riscv64, cpus: 1)
    #expect(asked.engine == .interpreter && asked.reason == nil)
  }

  @Test func enginesAreForTheirArchitectures() {
    #expect(failure(.kvm, .riscv64)?.code == .usage)
    #expect(failure(.translator, .amd64)?.code == .usage)
    #expect(failure(.interpreter, .amd64)?.message.contains("take kvm") == true)
  }

  @Test(arguments: [MachineConfiguration.Engine.auto, .kvm])
  func missingDeviceIsNamed(_ wanted: MachineConfiguration.Engine) {
    let error = failure(wanted, .amd64)
    #expect(error?.code == .failed)
    #expect(error?.message.contains("amd64 guests need KVM: there is no /no/such/kvm") == true)
  }

  @Test func whatIsNoKVMIsToldSo() {
    #expect(failure(.auto, .amd64, path: "/dev/null")?.message.contains("not a KVM device") == true)
  }

  @Test(.enabled(if: geteuid() != 0, "root may open everything"))
  func deviceOfOthersNamesItsGroup() throws {
    let path = "/tmp/volary-test-\(UUID().uuidString)"
    #expect(FileManager.default.createFile(atPath: path, contents: nil))
    defer { unlink(path) }
    try #require(chmod(path, 0o060) == 0)
    let error = try #require(failure(.auto, .amd64, path: path))
    #expect(error.code == .denied)
    #expect(error.wayOut?.contains("adduser") == true)
  }

  /// Where there is a device, what is chosen depends on what it carries out.
  @Test(.enabled(if: access("/dev/kvm", R_OK | W_OK) == 0, "/dev/kvm cannot be opened"))
  func speedDecides() throws {
    let asked = try EngineSelection(.kvm, for: .amd64, cpus: 1)
    #expect(asked.engine == .kvm && asked.device != nil && asked.reason == nil)
    do {
      let chosen = try EngineSelection(.auto, for: .amd64, cpus: 1)
      #expect(chosen.reason?.contains("/dev/kvm is real") == true)
    } catch {
      #expect(error.message.contains("/dev/kvm is not hardware"))
      #expect(error.wayOut?.contains("--engine kvm") == true)
    }
    #expect(throws: VolaryError.self) { try EngineSelection(.kvm, for: .amd64, cpus: 5000) }
  }

  @Test func speedsReadWell() {
    #expect(EngineSelection.figure(1.53) == "1.5 million instructions a second")
    #expect(EngineSelection.figure(2345.6) == "2346 million instructions a second")
  }
}
