internal import KVM
package import MachineControl

/// A processor architecture that images are kept for, by Debian's name for it.
package enum GuestArchitecture: String, CaseIterable, Codable, Sendable {
  case riscv64
  case amd64
  case arm64

  /// Throws `usage` for a word that names none.
  package init(parsing text: String) throws(ImageError) {
    guard let architecture = GuestArchitecture(rawValue: text) else {
      let known = GuestArchitecture.allCases.map(\.rawValue).joined(separator: ", ")
      throw ImageError(.usage, "unknown architecture '\(text)'; known are \(known)")
    }
    self = architecture
  }

  package init(_ architecture: MachineConfiguration.Architecture) {
    switch architecture {
    case .riscv64: self = .riscv64
    case .amd64: self = .amd64
    }
  }

  /// What machines of this host run best: with KVM that is hardware the host's own architecture. Measured once.
  package static let usual: GuestArchitecture = KVMProbe.measure().isUseful ? .amd64 : .riscv64
}

extension MachineConfiguration.Architecture {
  /// Nil for one that no engine runs yet.
  package init?(_ architecture: GuestArchitecture) {
    switch architecture {
    case .riscv64: self = .riscv64
    case .amd64: self = .amd64
    case .arm64: return nil
    }
  }
}
