/// The descriptor as a package holds it.
extension OVFDescriptor {
  /// What names stream-optimised images (Virtual Disk Format 5.0).
  private static let streamOptimized =
    "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"

  /// The text, with the first disk in a file of `fileSize` bytes; the disk holds `stored` bytes.
  func text(file: String, fileSize: UInt64, stored: UInt64) -> String {
    let capacity = disks.first?.capacity ?? 0
    let networks = networkCards.isEmpty ? [] : [networkCards[0].network]
    var lines = [
      #"<?xml version="1.0" encoding="UTF-8"?>"#,
      #"<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1""#,
      #"  xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1""#,
      #"  xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData""#,
      #"  xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData""#,
      #"  xmlns:vmw="http://www.vmware.com/schema/ovf">"#,
      "  <References>",
      #"    <File ovf:id="file1" ovf:href="\#(Self.escaped(file))" ovf:size="\#(fileSize)"/>"#,
      "  </References>",
      "  <DiskSection>",
      "    <Info>Virtual disks</Info>",
      #"    <Disk ovf:diskId="disk1" ovf:fileRef="file1" ovf:capacity="\#(capacity)" ovf:populatedSize="\#(stored)""#
        + #" ovf:format="\#(Self.streamOptimized)"/>"#,
      "  </DiskSection>",
    ]
    if !networks.isEmpty {
      lines += ["  <NetworkSection>", "    <Info>Networks</Info>"]
      for network in networks {
        lines += [
          #"    <Network ovf:name="\#(Self.escaped(network))">"#,
          "      <Description>A network</Description>",
          "    </Network>",
        ]
      }
      lines.append("  </NetworkSection>")
    }
    lines += [
      #"  <VirtualSystem ovf:id="\#(Self.escaped(identifier))">"#,
      "    <Info>A virtual machine</Info>",
      "    <Name>\(Self.escaped(name))</Name>",
      #"    <OperatingSystemSection ovf:id="\#(systemType)">"#,
      "      <Info>The operating system</Info>",
      "      <Description>\(Self.escaped(system))</Description>",
      "    </OperatingSystemSection>",
      "    <VirtualHardwareSection>",
      "      <Info>Virtual hardware</Info>",
      "      <System>",
      "        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>",
      "        <vssd:InstanceID>0</vssd:InstanceID>",
      "        <vssd:VirtualSystemIdentifier>\(Self.escaped(identifier))</vssd:VirtualSystemIdentifier>",
      "        <vssd:VirtualSystemType>vmx-10</vssd:VirtualSystemType>",
      "      </System>",
    ]
    for item in items(networks: networks) {
      lines.append("      <Item>")
      // In the order of the alphabet, as the schema has them.
      for (name, value) in item.sorted(by: { $0.key < $1.key }) {
        lines.append("        <rasd:\(name)>\(Self.escaped(value))</rasd:\(name)>")
      }
      lines.append("      </Item>")
    }
    lines += [
      #"      <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="\#(firmware.rawValue)"/>"#,
      "    </VirtualHardwareSection>", "  </VirtualSystem>", "</Envelope>", "",
    ]
    return lines.joined(separator: "\n")
  }

  private func items(networks: [String]) -> [[String: String]] {
    var items: [[String: String]] = [
      [
        "ElementName": "\(cpus) virtual CPUs", "InstanceID": "1", "ResourceType": Self.processor,
        "VirtualQuantity": "\(cpus)", "AllocationUnits": "hertz * 10^6",
      ],
      [
        "ElementName": "\(memory >> 20) MiB of memory", "InstanceID": "2", "ResourceType": Self.memoryType,
        "VirtualQuantity": "\(memory >> 20)", "AllocationUnits": "byte * 2^20",
      ],
      // A controller of SATA disks.
      [
        "ElementName": "SATA controller 0", "InstanceID": "3", "ResourceType": "20",
        "ResourceSubType": "AHCI",
        "Address": "0",
      ],
      [
        "ElementName": "Disk 0", "InstanceID": "4", "ResourceType": Self.disk,
        "HostResource": "ovf:/disk/disk1",
        "Parent": "3", "AddressOnParent": "0",
      ],
    ]
    for network in networks {
      items.append([
        "ElementName": "Network card 0", "InstanceID": "5", "ResourceType": Self.networkCard,
        "ResourceSubType": "E1000", "Connection": network, "AutomaticAllocation": "true",
        "AddressOnParent": "7",
      ])
    }
    return items
  }

  /// The name as an identifier of XML's kind of text: letters, digits and few else.
  private var identifier: String {
    let text = name.map {
      $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "." || $0 == "-") ? String($0) : "-"
    }
    return text.isEmpty ? "machine" : text.joined()
  }

  private static func escaped(_ text: String) -> String {
    text.unicodeScalars.map { scalar in
      switch scalar {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      case "\"": "&quot;"
      default: scalar.value < 0x20 || scalar.value == 0x7F ? " " : String(scalar)
      }
    }.joined()
  }
}
