import Foundation
import HostPrograms
import VolaryHost

/// QEMU as the machine: an engine that is not ours, for what the guest's side of an image does.
struct QEMUMachineRunner: MachineRunner {
  /// What a job of mode `pipe` reads.
  var input = Data()
  /// Where its streams go; they are thrown away when nil.
  var outputs: URL?
  /// More of QEMU's arguments.
  var arguments: [String] = []

  func run(
    _ architecture: GuestArchitecture, kernel: String, initrd: String, append: String, disk: String,
    memory: UInt64, cpus: Int,
    console: @escaping @Sendable (String) -> Void
  ) throws -> Int32 {
    let scratch = try TemporaryFolder()
    defer { withExtendedLifetime(scratch) {} }
    let folder = outputs ?? scratch.url
    let isPC = architecture == .amd64
    let bus = isPC ? "pci" : "device"
    var arguments = [
      "-machine", isPC ? "q35" : "virt", "-cpu", isPC ? "max" : "rv64", "-m", "\(memory >> 20)", "-smp",
      "\(cpus)", "-display", "none",
      "-monitor", "none", "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-initrd", initrd,
      "-append", "\(append) console=ttyS0", "-device", "virtio-serial-\(bus)",
      "-drive", "file=\(disk),format=raw,if=none,id=root,cache=unsafe,discard=unmap",
      "-device", "virtio-blk-\(bus),drive=root", "-device", "virtio-rng-\(bus)",
    ]
    for stream in ["control", "stdout", "stderr"] {
      arguments += [
        "-chardev", "file,id=\(stream),path=\(folder.appendingPathComponent(stream).path)",
        "-device", "virtserialport,chardev=\(stream),name=org.volary.\(stream)",
      ]
    }
    let socket = folder.appendingPathComponent("stdin").path
    try Self.serve(input, at: socket)
    arguments += [
      "-chardev", "socket,id=stdin,path=\(socket)",
      "-device", "virtserialport,chardev=stdin,name=org.volary.stdin",
    ]
    // Debian is configured in it, by an interpreter.
    let outcome = try ProgramRun(
      "qemu-system-\(isPC ? "x86_64" : "riscv64")", arguments + self.arguments
    ).finish(within: 7200, line: console)
    for line in outcome.errors.split(separator: "\n") { console(String(line)) }
    let control = try String(contentsOf: folder.appendingPathComponent("control"), encoding: .utf8)
    let lines = control.split(separator: "\n")
    guard let last = lines.last, last.hasPrefix("exit "), let code = Int32(last.dropFirst(5)) else {
      throw ImageError("the guest's control port said only \(lines)")
    }
    return code
  }

  /// Listens at a Unix socket, gives the first who connects `data`, and closes: the end of input.
  private static func serve(_ data: Data, at path: String) throws {
    let listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0, listen(listener, 1) == 0 else { throw ImageError("cannot listen at \(path)") }
    Thread.detachNewThread {
      let connection = accept(listener, nil, nil)
      data.withUnsafeBytes { bytes in
        var sent = 0
        // Without SIGPIPE: a machine may end before it has read everything.
        while sent < bytes.count {
          let count = send(connection, bytes.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
          if count <= 0 { break }
          sent += count
        }
      }
      // QEMU drops what it has not read yet when the other side closes altogether.
      shutdown(connection, Int32(SHUT_WR))
      var byte: UInt8 = 0
      _ = read(connection, &byte, 1)
      close(connection)
      close(listener)
    }
  }
}
