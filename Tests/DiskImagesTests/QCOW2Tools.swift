import DiskImages
import Glibc
import HostSystem
import Testing

/// What the tests of qcow2 images need: QEMU's programs as oracles, and files for them.
enum QCOW2Tools {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  /// Runs a program and returns its output and messages; throws unless it ends with one of `codes`.
  ///
  /// Other tests start programs too, which hold copies of all descriptors, and so of all locks, for a moment.
  @discardableResult
  static func run(_ command: String, codes: Set<Int32> = [0]) throws -> String {
    for _ in 0..<200 {
      do {
        return try runOnce(command, codes: codes)
      } catch let failure as Failure where failure.description.contains("lock\nIs another process using") {
        usleep(10_000)
      }
    }
    return try runOnce(command, codes: codes)
  }

  private static func runOnce(_ command: String, codes: Set<Int32>) throws -> String {
    guard let pipe = popen("LC_ALL=C exec 2>&1; " + command, "r") else {
      throw Failure(description: "cannot start: \(command)")
    }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = fread(&buffer, 1, buffer.count, pipe)
      if count <= 0 { break }
      output += buffer[..<count]
    }
    let status = pclose(pipe)
    let text = String(decoding: output, as: UTF8.self)
    guard codes.contains(status >> 8 & 0xFF), status & 0x7F == 0 else {
      if status >> 8 & 0xFF == 127 {
        throw Failure(
          description: "qemu-img and qemu-io are needed by these tests: apt-get install qemu-utils")
      }
      throw Failure(description: "\(command) ended with \(status >> 8):\n\(text)")
    }
    return text
  }

  /// A directory of its own that goes with the body.
  static func inDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
    var template = Array("/tmp/volary-qcow2-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw Errno(errno) }
    let path = String(decoding: template.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self)
    defer { _ = try? run("rm -rf \(path)") }
    return try body(path)
  }

  static func file(_ path: String, readOnly: Bool = false) throws -> HostFile {
    let descriptor = try Descriptor.open(path, readOnly ? O_RDONLY : O_RDWR | O_CREAT)
    for _ in 0..<200 {
      do throws(DiskImageError) {
        return try HostFile(descriptor, name: path, readOnly: readOnly)
      } catch {
        guard case .inUse = error else { throw error }
        usleep(10_000)
      }
    }
    return try HostFile(descriptor, name: path, readOnly: readOnly)
  }

  static func create(_ path: String, size: UInt64, _ options: QCOW2Options = QCOW2Options()) throws {
    try QCOW2Image.create(file: file(path), size: size, options: options)
  }

  static func open(
    _ path: String, backing: (any DiskImage)? = nil, readOnly: Bool = false
  ) throws -> QCOW2Image {
    try QCOW2Image(file(path, readOnly: readOnly), backing: backing)
  }

  static func raw(_ path: String, readOnly: Bool = true) throws -> RawImage {
    try RawImage(file(path, readOnly: readOnly))
  }

  static func write(_ bytes: [UInt8], to path: String) throws {
    let descriptor = try Descriptor.open(path, O_RDWR | O_CREAT | O_TRUNC)
    try bytes.withUnsafeBytes { try descriptor.writeAll($0) }
  }

  /// Contents without zeroes, which differ from sector to sector.
  static let pattern: [UInt8] = {
    let sectors = 4883
    return [UInt8](unsafeUninitializedCapacity: sectors * 512) { buffer, count in
      for sector in 0..<sectors { memset(buffer.baseAddress! + sector * 512, Int32(sector % 251 | 1), 512) }
      count = sectors * 512
    }
  }()

  /// A read-only disk of given contents, which no lock keeps from anybody.
  static func disk(_ contents: [UInt8]) throws -> any DiskImage {
    let descriptor = try Descriptor.memory(name: "contents")
    try contents.withUnsafeBytes { try descriptor.writeAll($0) }
    return try RawImage(HostFile(descriptor, name: "contents", readOnly: true))
  }

  /// No corruption, and no leak.
  static func check(_ path: String) throws { try run("qemu-img check -f qcow2 \(path)") }

  static func numberFromEnvironment(_ name: String) -> Int? {
    getenv(name).flatMap { Int(String(cString: $0)) }
  }
}

extension ImageFile {
  func bytes(at offset: UInt64, count: Int) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: count)
    try buffer.withUnsafeMutableBytes { try read(at: offset, into: $0) }
    return buffer
  }
}
