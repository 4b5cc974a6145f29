import Foundation

/// A Debian package that Volary uses a program or a file of, and how to see whether it is there.
package struct HostPackage: Sendable, Equatable {
  /// What tells that the package is installed.
  package enum Evidence: Sendable, Equatable {
    /// A program by this name on the search path.
    case command(String)
    /// One of these files.
    case anyFile([String])
  }

  /// The package's name on Debian.
  package let name: String
  /// What it is needed for, to follow the words "needed to".
  package let why: String
  package let evidence: Evidence
  /// Whether only an ordinary user needs it, not root.
  package let onlyWithoutRoot: Bool

  init(_ name: String, to why: String, evidence: Evidence, onlyWithoutRoot: Bool = false) {
    self.name = name
    self.why = why
    self.evidence = evidence
    self.onlyWithoutRoot = onlyWithoutRoot
  }

  package var isInstalled: Bool {
    switch evidence {
    case .command(let command): HostTool.find(command) != nil
    case .anyFile(let files): files.contains { FileManager.default.fileExists(atPath: $0) }
    }
  }

  /// Where debian-archive-keyring puts the keys: Debian 12's name, then Debian 13's.
  static let keyrings = [
    "/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp",
  ]

  /// What `volary image build` needs.
  package static let forImages = [
    HostPackage("apt", to: "download and verify a guest's packages", evidence: .command("apt-get")),
    HostPackage("dpkg", to: "unpack a guest's packages", evidence: .command("dpkg-deb")),
    HostPackage(
      "debian-archive-keyring", to: "verify Debian's signatures", evidence: .anyFile(keyrings)),
    HostPackage("e2fsprogs", to: "write and check a root disk", evidence: .command("mke2fs")),
    HostPackage("kmod", to: "index a guest kernel's modules", evidence: .command("depmod")),
    HostPackage("xz-utils", to: "unpack a guest kernel's modules", evidence: .command("xz")),
    HostPackage(
      "fakeroot", to: "give a root disk's files their owners without being root",
      evidence: .command("fakeroot"), onlyWithoutRoot: true),
  ]

  /// The packages of `forImages` that this user still needs.
  package static func missingForImages(isRoot: Bool = geteuid() == 0) -> [HostPackage] {
    forImages.filter { !($0.onlyWithoutRoot && isRoot) && !$0.isInstalled }
  }

  /// How to install packages, in words for the end of a message.
  package static func advice(_ packages: [HostPackage]) -> String {
    "install with 'apt-get install \(packages.map(\.name).joined(separator: " "))'"
  }

  static func advice(forCommand command: String) -> String {
    guard let package = forImages.first(where: { $0.evidence == .command(command) }) else {
      return "install the package that brings it"
    }
    return advice([package])
  }
}
