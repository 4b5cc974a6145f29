internal import Foundation
internal import HostSystem

extension KeptMachine {
  /// Milliseconds that an examination may take: it reads one small file.
  private static let patience: Int32 = 60_000

  /// What the program says before its words.
  private static let prefix = "volary-machine: "

  /// Throws unless this host's machines can go on from it, as far as that can be told while another still runs. A
  /// process of its own reads it, since what is in there is the guest's.
  package func examine() throws(VolaryError) {
    do {
      let opened = try open()
      let words = try Descriptor.memory(name: "words")
      let first = HelperProgram.firstDescriptor
      let process = try HelperProgram.machine.start(
        ["--examine", "\(first)", "--memory", "\(first + 1)"], output: words,
        descriptors: [opened.state] + opened.memory)
      defer { process.terminate() }
      guard let exit = process.wait(milliseconds: Self.patience) else {
        throw VolaryError("it took too long")
      }
      if exit == .code(0) { return }
      let said = String(decoding: try words.read(4096, at: 0), as: UTF8.self).split(separator: "\n")
      throw VolaryError(said.last.map { String($0.trimmingPrefix(Self.prefix)) } ?? "its process \(exit)")
    } catch let error as VolaryError {
      throw error
    } catch { throw VolaryError("it cannot be read: \(error)") }
  }
}
