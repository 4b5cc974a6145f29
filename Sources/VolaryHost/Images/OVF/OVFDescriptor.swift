package import DiskImages

/// What an OVF descriptor says about one virtual machine (DMTF DSP0243, versions 1.1 and 2.1), as far as it is used
/// here.
package struct OVFDescriptor: Equatable, Sendable {
  package struct Disk: Equatable, Sendable {
    /// Bytes of the disk.
    package var capacity: UInt64
    /// The file that holds it; nil of a disk that is empty.
    package var file: String?
    /// Nil where the format is not known by its URI.
    package var format: DiskFormat?

    package init(capacity: UInt64, file: String?, format: DiskFormat?) {
      self.capacity = capacity
      self.file = file
      self.format = format
    }
  }

  package struct NetworkCard: Equatable, Sendable {
    /// What it is connected to, in the descriptor's words.
    package var network: String
    /// Its address, where the descriptor has one.
    package var address: String?

    package init(network: String, address: String?) {
      self.network = network
      self.address = address
    }
  }

  package enum Firmware: String, Codable, Sendable {
    case bios
    case efi
  }

  package var name: String
  package var cpus = 1
  /// Bytes.
  package var memory: UInt64 = 1 << 30
  /// In the order of the machine's hardware.
  package var disks: [Disk] = []
  package var networkCards: [NetworkCard] = []
  package var firmware = Firmware.bios
  /// CIM_OperatingSystem.OSType.
  package var systemType = 102
  package var system = ""

  package init(name: String) { self.name = name }
}

/// Why a descriptor cannot be used.
package struct OVFError: Error, Equatable, CustomStringConvertible {
  package let description: String
  init(_ description: String) { self.description = description }
}

extension OVFDescriptor {
  // CIM_ResourceAllocationSettingData.ResourceType.
  static let processor = "3"
  static let memoryType = "4"
  static let networkCard = "10"
  static let disk = "17"
  private static let mostItems = 1000

  /// Reads a descriptor that anybody may have written.
  package init(parsing bytes: [UInt8]) throws(OVFError) {
    let root: XMLTree
    do { root = try XMLTree.read(bytes) } catch { throw OVFError("it is no XML that can be read: \(error)") }
    guard root.name == "Envelope" else { throw OVFError("it has no Envelope") }
    guard root.child("VirtualSystemCollection") == nil, root.all("VirtualSystem").count == 1,
      let system = root.child("VirtualSystem")
    else { throw OVFError("it describes several virtual machines, or none") }
    name = system.child("Name")?.trimmedText ?? system.attributes["id"] ?? ""
    if let section = system.child("OperatingSystemSection") {
      systemType = section.attributes["id"].flatMap { Int($0) } ?? 102
      self.system = section.child("Description")?.trimmedText ?? ""
    }
    guard let hardware = system.child("VirtualHardwareSection") else {
      throw OVFError("it describes no hardware")
    }
    firmware = Self.firmware(hardware, system)
    let files = try Self.files(root)
    let disks = try Self.disks(root, files)
    let items = hardware.all("Item") + hardware.all("StorageItem") + hardware.all("EthernetPortItem")
    guard items.count <= Self.mostItems else { throw OVFError("more than \(Self.mostItems) items") }
    for item in items { try add(item, disks: disks, files: files) }
  }

  private mutating func add(
    _ item: XMLTree, disks: [String: Disk], files: [String: String]
  ) throws(OVFError) {
    let quantity = item.child("VirtualQuantity").flatMap { UInt64($0.trimmedText) }
    switch item.child("ResourceType")?.trimmedText {
    case Self.processor:
      guard let quantity, (1...1024).contains(quantity) else {
        throw OVFError("a number of processors that is none")
      }
      cpus = Int(quantity)
    case Self.memoryType:
      let units = item.child("AllocationUnits")?.trimmedText ?? "byte * 2^20"
      guard let quantity, let factor = Self.factor(of: units),
        case let (bytes, overflow) = quantity.multipliedReportingOverflow(by: factor), !overflow, bytes > 0,
        bytes <= 1 << 50
      else { throw OVFError("an amount of memory that is none") }
      memory = bytes
    case Self.networkCard:
      networkCards.append(
        NetworkCard(
          network: item.child("Connection")?.trimmedText ?? "", address: item.child("Address")?.trimmedText))
    case Self.disk:
      guard let resource = item.child("HostResource")?.trimmedText, let slash = resource.lastIndex(of: "/")
      else {
        return
      }
      let id = String(resource[resource.index(after: slash)...])
      if resource.contains("/disk/") {
        guard let disk = disks[id] else { throw OVFError("a disk that is not described: '\(id)'") }
        self.disks.append(disk)
      } else {
        throw OVFError("a disk that is not described: '\(id)'")
      }
    default: break
    }
  }

  /// The package's files by their identifiers.
  private static func files(_ root: XMLTree) throws(OVFError) -> [String: String] {
    var files: [String: String] = [:]
    for file in root.child("References")?.all("File") ?? [] {
      guard let id = file.attributes["id"], let name = file.attributes["href"] else {
        throw OVFError("a file without a name")
      }
      guard TarArchive.isPlain(name) else {
        throw OVFError("a file outside of the package: '\(name.prefix(100))'")
      }
      if let compression = file.attributes["compression"], !compression.isEmpty, compression != "identity" {
        throw OVFError(
          "'\(name)' is packed by \(compression.prefix(20)): unpack the package and its files first")
      }
      guard file.attributes["chunkSize"] == nil else { throw OVFError("'\(name)' is in several parts") }
      guard files.updateValue(name, forKey: id) == nil else { throw OVFError("two files of one identifier") }
    }
    return files
  }

  private static func disks(_ root: XMLTree, _ files: [String: String]) throws(OVFError) -> [String: Disk] {
    var disks: [String: Disk] = [:]
    for disk in root.child("DiskSection")?.all("Disk") ?? [] {
      guard let id = disk.attributes["diskId"] else { throw OVFError("a disk without an identifier") }
      guard disk.attributes["parentRef"] == nil else { throw OVFError("a disk that is a layer over another") }
      let units = disk.attributes["capacityAllocationUnits"] ?? "byte"
      guard let quantity = disk.attributes["capacity"].flatMap({ UInt64($0) }),
        let factor = factor(of: units),
        case let (capacity, overflow) = quantity.multipliedReportingOverflow(by: factor), !overflow
      else { throw OVFError("the disk '\(id.prefix(50))' has no size that can be read") }
      var file: String?
      if let reference = disk.attributes["fileRef"] {
        guard let name = files[reference] else { throw OVFError("a disk whose file is not named") }
        file = name
      }
      disks[id] = Disk(capacity: capacity, file: file, format: format(of: disk.attributes["format"] ?? ""))
    }
    return disks
  }

  /// The format that a URI stands for (DSP0243 leaves them to those who made the formats).
  private static func format(of uri: String) -> DiskFormat? {
    let text = uri.lowercased()
    if text.contains("vmdk") { return .vmdk }
    if text.contains("vhdx") { return .vhdx }
    if text.contains("vhd") || text.contains("bb676673") { return .vhd }
    if text.contains("qcow") { return .qcow2 }
    if text.contains("vdi") { return .vdi }
    return nil
  }

  /// Bytes of a unit: `byte * 2^30`, `byte * 10^9`, or the names of the first version (DSP0004, annex C.1).
  package static func factor(of units: String) -> UInt64? {
    let text = units.lowercased().filter { !$0.isWhitespace }
    switch text {
    case "byte", "bytes": return 1
    case "kilobytes": return 1 << 10
    case "megabytes": return 1 << 20
    case "gigabytes": return 1 << 30
    default: break
    }
    let factors = text.split(separator: "*", omittingEmptySubsequences: false)
    guard factors.count <= 4, let unit = factors.first, unit == "byte" || unit == "bytes" else { return nil }
    var product: UInt64 = 1
    for factor in factors.dropFirst() {
      let parts = factor.split(separator: "^", omittingEmptySubsequences: false)
      guard parts.count <= 2, let base = UInt64(parts[0]),
        let exponent = parts.count == 2 ? Int(parts[1]) : 1,
        (0...63).contains(exponent)
      else { return nil }
      for _ in 0..<exponent {
        let (next, overflow) = product.multipliedReportingOverflow(by: base)
        guard !overflow else { return nil }
        product = next
      }
    }
    return product
  }

  /// VMware's way of saying it, and VirtualBox's.
  private static func firmware(_ hardware: XMLTree, _ system: XMLTree) -> Firmware {
    let configured = hardware.all("Config").first { $0.attributes["key"]?.lowercased() == "firmware" }?
      .attributes["value"]
    let machine = system.child("Machine")?.first("Firmware")?.attributes["type"]
    return (configured ?? machine ?? "").lowercased().hasPrefix("efi") ? .efi : .bios
  }
}
