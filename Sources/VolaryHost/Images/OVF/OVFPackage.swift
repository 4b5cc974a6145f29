package import DiskImages
package import Foundation
import Glibc
import HostSystem

/// A virtual machine in a package (DMTF DSP0243, 2 and 5): one archive (`.ova`), or a descriptor with its files
/// beside it (`.ovf`). Its manifest's digests are checked; signatures are not looked at.
package struct OVFPackage {
  private static let mostDescriptor = XMLTree.mostBytes
  private static let mostManifest = 1 << 20

  package let descriptor: OVFDescriptor
  private let name: String
  /// By name, the descriptor's own included.
  private let files: [String: any ImageFile]
  private let manifest: OVFManifest?
  private let descriptorName: String

  /// Whether a file's name says that it is one.
  package static func isPackage(_ path: String) -> Bool {
    ["ova", "ovf"].contains(URL(fileURLWithPath: path).pathExtension.lowercased())
  }

  /// Opens a package. Throws for one that is not sound.
  package init(_ path: String) throws(ImageError) {
    let file = try Self.open(path)
    try self.init(
      file, name: path,
      beside: URL(fileURLWithPath: path).pathExtension.lowercased() == "ovf"
        ? URL(fileURLWithPath: path) : nil)
  }

  /// `descriptor`: where the file is, when it is a descriptor whose files are beside it, and not an archive.
  package init(_ file: any ImageFile, name: String, beside descriptor: URL?) throws(ImageError) {
    self.name = name
    var files: [String: any ImageFile] = [:]
    if let descriptor {
      descriptorName = descriptor.lastPathComponent
      files[descriptorName] = file
      let manifestURL = descriptor.deletingPathExtension().appendingPathExtension("mf")
      if access(manifestURL.path, F_OK) == 0 {
        files[manifestURL.lastPathComponent] = try Self.open(manifestURL.path)
      }
    } else {
      let archive = try TarArchive(file)
      guard let first = archive.members.first?.name, first.lowercased().hasSuffix(".ovf") else {
        throw ImageError("\(name) is no OVA: its first file is not an OVF descriptor")
      }
      descriptorName = first
      for member in archive.members { files[member.name] = member.file }
    }
    let text = try Self.contents(files[descriptorName], most: Self.mostDescriptor, "\(name): its descriptor")
    do {
      self.descriptor = try OVFDescriptor(parsing: text)
    } catch {
      throw ImageError("the OVF descriptor of \(name) cannot be used: \(error)")
    }
    if let folder = descriptor?.deletingLastPathComponent() {
      for file in self.descriptor.disks.compactMap(\.file) where files[file] == nil {
        files[file] = try Self.open(folder.appendingPathComponent(file).path)
      }
    }
    let base = String(descriptorName.dropLast(4))
    if let manifest = files[base + ".mf"] {
      let text = try Self.contents(manifest, most: Self.mostManifest, "\(name): its manifest")
      guard let read = OVFManifest(parsing: text) else {
        throw ImageError("the manifest of \(name) cannot be read: it holds more than SHA1 and SHA256 digests")
      }
      self.manifest = read
    } else {
      manifest = nil
    }
    self.files = files
    for disk in self.descriptor.disks {
      if let file = disk.file, files[file] == nil {
        throw ImageError("\(name) does not hold its disk '\(file)'")
      }
    }
  }

  private static func open(_ path: String) throws(ImageError) -> HostFile {
    let descriptor: Descriptor
    do {
      descriptor = try Descriptor.open(path, O_RDONLY | O_NONBLOCK)
    } catch {
      throw ImageError(.init(error), "cannot open \(path): \(error)")
    }
    do {
      return try HostFile(descriptor, name: path, readOnly: true)
    } catch { throw ImageError(disk: error) }
  }

  private static func contents(
    _ file: (any ImageFile)?, most: Int, _ what: String
  ) throws(ImageError) -> [UInt8] {
    do throws(Errno) {
      if let bytes = try file?.contents(most: most) { return bytes }
    } catch {
      throw ImageError("\(what) cannot be read: \(error)")
    }
    throw ImageError("\(what) has more than \(most) bytes")
  }

  /// Compares all files that the manifest names with its digests. A package without one has nothing to compare.
  package func checkManifest() throws(ImageError) {
    guard let manifest else { return }
    for entry in manifest.entries {
      guard let file = files[entry.name] else {
        // Beside a descriptor only what is used was opened.
        if descriptor.disks.contains(where: { $0.file == entry.name }) || isArchive {
          throw ImageError("\(name) does not hold '\(entry.name)', which its manifest names")
        }
        continue
      }
      let digest: String
      do {
        digest = try file.digest(entry.algorithm)
      } catch {
        throw ImageError("cannot read '\(entry.name)' of \(name): \(error)")
      }
      guard digest == entry.digest else {
        throw ImageError(
          "'\(entry.name)' of \(name) is not what its manifest says: it was changed or damaged; copy it again"
        )
      }
    }
    let listed = Set(manifest.entries.map(\.name))
    for needed in [descriptorName] + descriptor.disks.compactMap(\.file) where !listed.contains(needed) {
      throw ImageError("the manifest of \(name) does not name '\(needed)'")
    }
  }

  private var isArchive: Bool { files.values.contains { $0 is FilePart } }

  /// Opens a disk; nil when it is one that is empty.
  package func open(_ disk: OVFDescriptor.Disk) throws(ImageError) -> DiskSource? {
    guard let fileName = disk.file, let file = files[fileName] else { return nil }
    return try DiskSource(file, path: "\(name):\(fileName)", format: disk.format)
  }
}

/// The digests of a package's files (DSP0243, 5.1).
package struct OVFManifest {
  package struct Entry: Equatable, Sendable {
    package var name: String
    package var algorithm: Digest.Algorithm
    /// Hexadecimal, in small letters.
    package var digest: String

    package init(name: String, algorithm: Digest.Algorithm, digest: String) {
      self.name = name
      self.algorithm = algorithm
      self.digest = digest
    }
  }

  package let entries: [Entry]

  /// Nil for what is no manifest, or has digests of another kind. Lines are `SHA256(name)= digest`.
  package init?(parsing bytes: [UInt8]) {
    var entries: [Entry] = []
    for line in String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline) {
      if line.allSatisfy(\.isWhitespace) { continue }
      guard let opening = line.firstIndex(of: "("), let closing = line.lastIndex(of: ")"), opening < closing,
        let equals = line[closing...].firstIndex(of: "="),
        let algorithm = Digest.Algorithm(
          rawValue: line[..<opening].filter { !$0.isWhitespace && $0 != "-" }.uppercased()),
        entries.count < 1000
      else { return nil }
      entries.append(
        Entry(
          name: String(line[line.index(after: opening)..<closing]), algorithm: algorithm,
          digest: line[line.index(after: equals)...].filter { !$0.isWhitespace }.lowercased()))
    }
    self.entries = entries
  }
}
