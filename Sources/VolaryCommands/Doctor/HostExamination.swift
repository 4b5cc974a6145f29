import Foundation
import Glibc
import HostSystem
import KVM
internal import VolaryHost

/// Looks at the host: what a machine needs of it, and what it would be faster or safer with.
enum HostExamination {
  /// Everything, in the order in which a person wants to read it. Takes less than a second.
  static func findings() -> [Finding] {
    [
      processor(), kvm(), memory(), room(), network(), tap(), vhost(), firmware(), landlock(), limits(),
      namespaces(), systemCallFilter(),
    ]
      + programs() + packages()
  }

  // MARK: - Engines

  private static func processor() -> Finding {
    let text = contents("/proc/cpuinfo")
    func field(_ name: String) -> String? {
      text.split(separator: "\n").first { $0.hasPrefix(name) }?
        .split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
    }
    let all = Set((field("flags") ?? field("Features") ?? "").split(separator: " ").map(String.init))
    let telling = ["vmx", "svm", "sse4_2", "avx", "avx2", "bmi1", "bmi2", "fma", "popcnt", "hypervisor"]
    let features = telling.filter(all.contains).joined(separator: " ")
    let model = field("model name") ?? "unknown model"
    return Finding(
      "processor", .ok,
      "\(model), \(sysconf(Int32(_SC_NPROCESSORS_ONLN))) CPUs\(features.isEmpty ? "" : ": " + features)")
  }

  private static func kvm() -> Finding {
    let instead = "amd64 machines cannot run, riscv64 machines run on Volary's translator"
    switch KVMProbe.measure() {
    case .absent: return Finding("kvm", .note, "no /dev/kvm; \(instead)")
    case .refused(.denied(_, let group)):
      return Finding(
        "kvm", .note, "/dev/kvm may not be opened by this user; \(instead)",
        remedy: group.map { "sudo adduser \(NSUserName()) \($0)" })
    case .refused(let error): return Finding("kvm", .note, "\(error); \(instead)")
    case .measured(let mips):
      let figure = EngineSelection.figure(mips)
      if mips < KVMProbe.usefulMIPS {
        return Finding(
          "kvm", .note, "/dev/kvm is not hardware: \(figure); \(instead)")
      }
      return Finding("kvm", .ok, figure)
    }
  }

  // MARK: - Resources

  private static func memory() -> Finding {
    let line = contents("/proc/meminfo").split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
    let kibibytes = line?.split(separator: " ").dropFirst().first.flatMap { UInt64($0) } ?? 0
    let detail = "\(mebibytes(kibibytes << 10)) available"
    if kibibytes < 1 << 20 {
      return Finding("memory", .note, detail, remedy: "run machines with less: --memory 512MiB")
    }
    return Finding("memory", .ok, detail)
  }

  private static func room() -> Finding {
    let folder = existingParent(of: DataDirectory.path().path)
    var status = statvfs()
    guard statvfs(folder, &status) == 0 else {
      return Finding("disk room", .note, "cannot tell for \(folder): \(Errno(errno))")
    }
    let free = UInt64(status.f_bavail) * UInt64(status.f_frsize)
    guard access(folder, W_OK) == 0 else {
      return Finding(
        "disk room", .missing, "\(folder) may not be written by this user: \(Errno(errno))",
        remedy: "set VOLARY_DATA to a folder of your own")
    }
    let detail = "\(mebibytes(free)) free for images and machines in \(folder)"
    if free < 4 << 30 {
      return Finding("disk room", .note, detail, remedy: "make room, or set VOLARY_DATA to another folder")
    }
    return Finding("disk room", .ok, detail)
  }

  private static func existingParent(of path: String) -> String {
    var path = path as NSString
    while path.length > 1 && !FileManager.default.fileExists(atPath: path as String) {
      path = path.deletingLastPathComponent as NSString
    }
    return path as String
  }

  private static func mebibytes(_ bytes: UInt64) -> String {
    bytes < 10 << 30 ? "\(bytes >> 20) MiB" : "\(bytes >> 30) GiB"
  }

  // MARK: - Network

  private static func network() -> Finding {
    let libraries = ["/usr/lib", "/usr/lib64", "/lib", "/usr/local/lib"].flatMap { folder in
      [folder]
        + ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [])
        .filter { $0.hasSuffix("-linux-gnu") }.map { "\(folder)/\($0)" }
    }
    if libraries.contains(where: { FileManager.default.fileExists(atPath: "\($0)/libslirp.so.0") }) {
      return Finding("network", .ok, "user-mode NAT (libslirp)")
    }
    return Finding(
      "network", .missing, "libslirp is missing, so machines have no network",
      remedy: "sudo apt-get install libslirp0")
  }

  private static func tap() -> Finding {
    do {
      _ = try Descriptor.open("/dev/net/tun", O_RDWR)
      return Finding("tap devices", .ok, "/dev/net/tun may be opened")
    } catch {
      return Finding("tap devices", .note, "/dev/net/tun: \(error); user-mode NAT needs none")
    }
  }

  private static func vhost() -> Finding {
    do {
      _ = try Descriptor.open(VHostNet.path, O_RDWR)
      return Finding("vhost-net", .ok, "the kernel can move frames between amd64 guests and tap devices")
    } catch {
      return Finding("vhost-net", .note, "\(VHostNet.path): \(error); Volary moves frames itself")
    }
  }

  private static func firmware() -> Finding {
    guard let code = FirmwareFiles.code else {
      return Finding(
        "UEFI firmware", .note, "none: amd64 machines cannot start what a disk of their own has",
        remedy: "sudo apt-get install ovmf")
    }
    return Finding("UEFI firmware", .ok, code)
  }

  // MARK: - Limits

  /// Whether a daemon that is started as this program is may hold machines to their limits.
  private static func limits() -> Finding {
    let what = "limits of CPU time and disks, and a bound on machines' memory"
    do throws(ControlGroupTree.Absence) {
      let there = try ControlGroupTree.available()
      let missing = ControlGroup.Controller.allCases.filter { !there.contains($0) }.map(\.rawValue)
      if missing.isEmpty { return Finding("cgroups", .ok, "\(what) can be held") }
      let older = contents("/proc/self/cgroup").split(separator: "\n").contains { line in
        let controllers = line.split(separator: ":", omittingEmptySubsequences: false)
        return controllers.count > 1
          && controllers[1].split(separator: ",").contains { ["cpu", "memory"].contains($0) }
      }
      return Finding(
        "cgroups", .note,
        "cgroup v2 has no controller \(missing.joined(separator: ", "))\(older ? ", cgroup v1 has them" : ""): "
          + "not all of \(what) are held",
        remedy: older ? "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line" : nil)
    } catch { return Finding("cgroups", .note, "\(error.reason): \(what) are not held") }
  }

  // MARK: - Walls around a machine's process

  private static func landlock() -> Finding {
    if let abi = Sandbox.landlockABI { return Finding("landlock", .ok, "version \(abi)") }
    return Finding("landlock", .note, "this kernel has none; namespaces and the system-call filter remain")
  }

  private static func namespaces() -> Finding {
    let switches = [
      "/proc/sys/user/max_user_namespaces", "/proc/sys/kernel/unprivileged_userns_clone",
    ]
    if let off = switches.first(where: { number(in: $0) == 0 }) {
      let key = off.dropFirst("/proc/sys/".count).replacingOccurrences(of: "/", with: ".")
      return Finding(
        "user namespaces", .note, "switched off by \(key)",
        remedy: "sudo sysctl \(key)=\(key.hasPrefix("user.") ? "15000" : "1")")
    }
    if !FileManager.default.fileExists(atPath: "/proc/self/ns/user") {
      return Finding("user namespaces", .note, "this kernel has none")
    }
    if number(in: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == 1 && geteuid() != 0 {
      return Finding("user namespaces", .note, "restricted by AppArmor")
    }
    return Finding("user namespaces", .ok, "may be made")
  }

  private static func systemCallFilter() -> Finding {
    let actions = contents("/proc/sys/kernel/seccomp/actions_avail")
    if actions.contains("kill_process") { return Finding("seccomp", .ok, "system calls can be filtered") }
    return Finding(
      "seccomp", .missing, "this kernel cannot filter system calls, and no machine runs without",
      remedy: "boot a kernel with CONFIG_SECCOMP_FILTER")
  }

  // MARK: - Programs and packages

  private static func programs() -> [Finding] {
    HelperProgram.allCases.map { program in
      if let path = program.find() { return Finding(program.rawValue, .ok, path) }
      return Finding(program.rawValue, .missing, "not found beside volary", remedy: "make install")
    }
  }

  private static func packages() -> [Finding] {
    let missing = HostPackage.missingForImages()
    if missing.isEmpty { return [Finding("image tools", .ok, "all there")] }
    return missing.map {
      Finding(
        $0.name, .missing, "needed to \($0.why)", remedy: "sudo apt-get install \($0.name)")
    }
  }

  private static func contents(_ path: String) -> String {
    (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
  }

  private static func number(in path: String) -> Int? {
    Int(contents(path).trimmingCharacters(in: .whitespacesAndNewlines))
  }
}
