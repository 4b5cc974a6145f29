internal import Crypto
internal import Foundation
internal import VolaryAPI
internal import VolaryHost

/// `/1.0/images`: what instances are made from. Images are the host's, seen from every project.
struct ImageRoutes: RouteGroup {
  let services: DaemonServices
  let store: ImageStore

  let apiExtensions = ["image_types"]

  var routes: [Route] {
    [
      .list(
        "/1.0/images", "Images", right: .view, query: [.project],
        pathOf: { (image: ImageObject) in Self.path(image.fingerprint) }
      ) { _ in try await all().map(\.object) },
      .get("/1.0/images/{fingerprint}", "One image", right: .view, query: [.project]) { call in
        try await find(call["fingerprint"]).object
      },
      .begin(.delete, "/1.0/images/{fingerprint}", "Delete an image", right: .administer, query: [.project]) {
        call in try await delete(call)
      },
      .list(
        "/1.0/images/aliases", "Names of images", right: .view, query: [.project],
        pathOf: { (alias: ImageAliasObject) in "/1.0/images/aliases/\(APIEndpoint.escaped(alias.name))" }
      ) { _ in try await aliases() },
      .get(
        "/1.0/images/aliases/{name}", "Which image a name stands for", right: .view, query: [.project]
      ) { call in
        guard let alias = try await aliases().first(where: { $0.name == call["name"] }) else {
          throw APIError.notFound("there is no image `\(call["name"].prefix(100))`")
        }
        return alias
      },
    ]
  }

  private func delete(_ call: Call) async throws -> OperationObject {
    let image = try await find(call["fingerprint"])
    let path = Self.path(image.object.fingerprint)
    let requestor = try call.requireIdentity()
    return try await services.operations.create(
      "Deleting image", project: nil, resources: ["images": [path]], requestor: requestor
    ) { _ in
      try await offThread("delete") {
        do {
          let lock = try store.lock(waiting: {})
          defer { withExtendedLifetime(lock) {} }
          try store.remove(ImageName(image.stored.record.name), image.stored.record.architecture)
        } catch { throw APIError(host: error) }
      }
      await services.events.lifecycle("image-deleted", source: path, project: nil, requestor: requestor)
      return [:]
    }
  }

  // MARK: - What there is

  private func all() async throws -> [IdentifiedImage] {
    let store = store
    return try await offThread("images") { store.identified() }
  }

  private func aliases() async throws -> [ImageAliasObject] {
    try await all().flatMap { image in
      image.object.aliases.map { ImageAliasObject(name: $0.name, target: image.object.fingerprint) }
    }
  }

  private func find(_ fingerprint: String) async throws -> IdentifiedImage {
    let store = store
    return try await offThread("images") { try store.find(fingerprint: fingerprint) }
  }

  private static func path(_ fingerprint: String) -> String { "/1.0/images/\(fingerprint)" }
}

/// An image of the store, as the API knows it.
struct IdentifiedImage: Sendable {
  let stored: StoredImage
  let object: ImageObject
}

extension ImageStore {
  /// Every image. The one of several architectures that runs best here has the plain name, each has one with its
  /// architecture behind.
  func identified() -> [IdentifiedImage] {
    list().compactMap { stored in
      guard let bytes = try? ImageRecord.encoder.encode(stored.record) else { return nil }
      let record = stored.record
      let isUsual = (try? ImageName(record.name)).flatMap(architecture) == record.architecture
      let kernel = MachineArchitectureName.kernel(record.architecture)
      let object = ImageObject(
        fingerprint: SHA256.hash(data: bytes).hexadecimal,
        aliases: (isUsual ? [record.name] : []) + ["\(record.name)/\(record.architecture.rawValue)"],
        architecture: kernel, size: record.storedSize,
        properties: [
          "description": "\(record.source) for \(record.architecture.rawValue)", "os": record.source,
          "architecture": record.architecture.rawValue,
        ].merging(record.kernelRelease.map { ["kernel": $0] } ?? [:]) { own, _ in own },
        createdAt: Timestamp(microseconds: Int64(record.createdAt.timeIntervalSince1970) * 1_000_000))
      return IdentifiedImage(stored: stored, object: object)
    }
  }

  /// By the whole fingerprint, or by a beginning of 12 digits and more that is one's alone.
  func find(fingerprint: String) throws(APIError) -> IdentifiedImage {
    let found =
      fingerprint.utf8.count < 12 ? [] : identified().filter { $0.object.fingerprint.hasPrefix(fingerprint) }
    guard let only = found.first, found.count == 1 else {
      throw .notFound("there is no image `\(fingerprint.prefix(64))`")
    }
    return only
  }
}

/// Architectures in the kernel's words, which the API speaks.
enum MachineArchitectureName {
  static func kernel(_ architecture: GuestArchitecture) -> String {
    switch architecture {
    case .amd64: "x86_64"
    case .arm64: "aarch64"
    case .riscv64: "riscv64"
    }
  }
}
