/// A reader under test: a function that gets one case's randomness and must return.
///
/// What a case does is wholly its random numbers' choice, so that its number repeats it; threads of
/// devices and harts alone bring their own timing. A case that finds something wrong traps.
struct FuzzTarget: Sendable {
  let name: String
  private let body: @Sendable (inout FuzzRandom) throws -> Void

  init(_ name: String, _ body: @escaping @Sendable (inout FuzzRandom) throws -> Void) {
    self.name = name
    self.body = body
  }

  /// Carries out a case. What it throws is a refusal, which is an answer.
  func run(_ random: FuzzRandom) {
    var random = random
    try? body(&random)
  }

  static let all =
    files + disks + qcow2 + kernels + tables + virtio + pci + platform + pcPlatform + pcFirmware + boards
    + machine + agents + backups + savedState
}
