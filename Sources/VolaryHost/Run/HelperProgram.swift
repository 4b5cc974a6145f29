import Foundation
package import HostSystem

/// The programs that `volary` starts: beside it, or in libexec beside its folder.
package enum HelperProgram: String, CaseIterable {
  case machine = "volary-machine"
  case nat = "volary-nat"
  case daemon = "volaryd"

  /// Its path, nil where it is not installed.
  package func find() -> String? {
    Self.folders.map { "\($0)/\(rawValue)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
  }

  /// Its path. Throws with the way out where it is not installed.
  package func path() throws(VolaryError) -> String {
    if let path = find() { return path }
    throw VolaryError(
      .notFound,
      "the program \(rawValue) is missing; it was looked for in \(Self.folders.joined(separator: ", "))",
      wayOut: "install Volary again with 'make install'")
  }

  /// Where what is installed with the programs may be.
  static var folders: [String] {
    let program = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
    let own = (program as NSString).deletingLastPathComponent
    let prefix = (own as NSString).deletingLastPathComponent
    return [own, "\(prefix)/libexec/volary", "/usr/libexec/volary"]
  }

  /// Starts the program. `descriptors` follow standard input, output and error, which are nothing and
  /// twice `output`. One that `outlivesStarter` goes on when this process ends.
  package func start(
    _ arguments: [String], output: Descriptor, descriptors: [Descriptor], outlivesStarter: Bool = false
  ) throws(VolaryError) -> ChildProcess {
    let path = try path()
    do {
      let nothing = try Descriptor.open("/dev/null", O_RDONLY)
      return try ChildProcess(
        path: path, arguments: [rawValue] + arguments, descriptors: [nothing, output, output] + descriptors,
        outlivesStarter: outlivesStarter)
    } catch {
      throw VolaryError("cannot start \(path): \(error)")
    }
  }

  /// The number in the program of the first of its `descriptors`.
  package static let firstDescriptor = 3
}
