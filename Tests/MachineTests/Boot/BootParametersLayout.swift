import Foundation

/// Where the fields of `boot_params` are, as a C compiler finds them in the headers of the host's kernel.
struct BootParametersLayout {
  /// Offset and size.
  var fields: [String: (offset: Int, size: Int)] = [:]

  static let shared: BootParametersLayout? = try? BootParametersLayout()

  private init() throws {
    let names = [
      "acpi_rsdp_addr", "ext_ramdisk_image", "ext_cmd_line_ptr", "e820_entries", "sentinel", "e820_table",
      "e820_table[1]", "hdr.setup_sects", "hdr.boot_flag", "hdr.header", "hdr.version", "hdr.type_of_loader",
      "hdr.loadflags", "hdr.ramdisk_image", "hdr.ramdisk_size", "hdr.cmd_line_ptr", "hdr.initrd_addr_max",
      "hdr.pref_address", "hdr.setup_data",
    ]
    let lines = names.map {
      "{ struct boot_params *p = 0; printf(\"\($0) %zu %zu\\n\", (size_t)&p->\($0), sizeof p->\($0)); }"
    }
    let program =
      "#include <stdio.h>\n#include <linux/types.h>\n#include <asm/bootparam.h>\n"
      + "int main(void) {\n\(lines.joined(separator: "\n"))\n}\n"
    let source = TemporaryFile(Data(program.utf8))
    let text = try HostTool.text(
      "gcc -x c -o \"$1.out\" \"$1\" && \"$1.out\"; rm -f \"$1.out\"", [source.path])
    for line in text.split(separator: "\n") {
      let words = line.split(separator: " ")
      if let offset = Int(words[1]), let size = Int(words[2]) { fields[String(words[0])] = (offset, size) }
    }
    guard fields.count == names.count else { throw HostTool.Failure(description: "fields are missing") }
  }
}
