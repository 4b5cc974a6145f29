/// A release of Debian that images can be built of.
package struct DebianRelease: Sendable {
  package let number: String
  package let codename: String
  let architectures: [GuestArchitecture]

  static let all = [DebianRelease(number: "13", codename: "trixie", architectures: [.riscv64])]

  /// The release that an image's name asks for. Throws `notFound` naming those there are.
  package static func find(_ name: ImageName, _ architecture: GuestArchitecture) throws(ImageError)
    -> DebianRelease
  {
    let release = all.first { name.description == $0.imageName }
    guard let release else {
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
  func kernelPackage(_ architecture: GuestArchitecture) -> String { "linux-image-\(architecture.rawValue)" }
}
