/// A release of Debian that images can be built of.
package struct DebianRelease: Sendable {
  package let number: String
  package let codename: String
  package let architectures: [GuestArchitecture]
  /// Packages that every image of it needs besides the recipe's.
  var additions: [String] = []

  static let all = [
    // Its packages still say /bin for /usr/bin, and what merges the two (usrmerge) is a program that would run in the
    // guest; the other package says that it has been done.
    DebianRelease(number: "12", codename: "bookworm", architectures: [.amd64], additions: ["usr-is-merged"]),
    DebianRelease(number: "13", codename: "trixie", architectures: [.riscv64, .amd64]),
  ]

  /// The release whose images have that name; nil for other images.
  package static func named(_ name: ImageName) -> DebianRelease? {
    all.first { $0.imageName == name.description }
  }

  /// The release that an image's name asks for. Throws `notFound` naming those there are.
  package static func find(_ name: ImageName, _ architecture: GuestArchitecture) throws(ImageError)
    -> DebianRelease
  {
    guard let release = named(name) else {
      let known = all.map(\.imageName).joined(separator: ", ")
      throw ImageError(
        .notFound,
        "there is no recipe for the image \(name): there are \(known); "
          + "files of your own become an image with 'volary image import'")
    }
    guard release.architectures.contains(architecture) else {
      let known = release.architectures.map(\.rawValue).joined(separator: ", ")
      throw ImageError(
        .notFound, "the recipe of \(name) is not for \(architecture.rawValue); it is for \(known)")
    }
    return release
  }

  var imageName: String { "debian/\(number)" }

  /// The package whose first dependency is the newest kernel.
  func kernelPackage(_ architecture: GuestArchitecture) -> String {
    // The same kernel without drivers of hardware that machines have not.
    architecture == .amd64 ? "linux-image-cloud-amd64" : "linux-image-\(architecture.rawValue)"
  }
}
