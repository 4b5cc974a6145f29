/// What depmod(8) found out about a kernel's modules: `modules.dep`, a line `PATH: PATH…` a module.
package struct ModuleDependencies {
  /// What a module needs, by path below the folder of the kernel release.
  private let needs: [String: [String]]
  private let pathsByName: [String: String]

  package init(parsing text: String) {
    var needs: [String: [String]] = [:]
    for line in text.split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let path = String(line[..<colon])
      needs[path] = line[line.index(after: colon)...].split(separator: " ").map(String.init)
    }
    self.needs = needs
    self.pathsByName = Dictionary(needs.keys.map { (Self.name(ofPath: $0), $0) }) { a, b in min(a, b) }
  }

  /// Every module's path, sorted.
  package var paths: [String] { needs.keys.sorted() }

  /// A module's name as the kernel has it: without folder and endings, with `_` for `-`.
  package static func name(ofPath path: String) -> String {
    let file = path.split(separator: "/").last ?? ""
    return file.prefix { $0 != "." }.split(separator: "-", omittingEmptySubsequences: false)
      .joined(separator: "_")
  }

  /// The path of a module, nil when the kernel has none of that name (it can be built in).
  package func path(named name: String) -> String? { pathsByName[name] }

  /// `paths` and all they need, each after what it needs.
  package func insertionOrder(_ paths: [String]) -> [String] {
    var order: [String] = []
    var seen: Set<String> = []
    func visit(_ path: String) {
      guard seen.insert(path).inserted else { return }
      needs[path]?.forEach(visit)
      order.append(path)
    }
    paths.forEach(visit)
    return order
  }
}
