import Testing

/// The built programs, from the command line to a stock kernel's power-off. One machine at a time:
/// each of them is slow enough alone.
@Suite(.serialized)
struct EndToEndTests {
  @Test func theProgramsAndAnImageAreThere() {
    #expect(
      Bench.hasPrograms, "no programs in \(Bench.programs): build them, or set VOLARY_BIN to their folder")
    #expect(
      Bench.hasImage || Bench.skipsBoots,
      """
      no image \(Bench.imageName) in \(Bench.data): 'volary image build \(Bench.imageName)' makes it; \
      VOLARY_TEST_DATA names another folder, and VOLARY_SKIP_BOOT=1 does without
      """
    )
  }
}

extension Trait where Self == ConditionTrait {
  /// For tests that boot the image: what is missing is told once, by a test of its own.
  static var boots: Self { .enabled(if: Bench.canBoot, "there is nothing to boot") }
  static var runsPrograms: Self { .enabled(if: Bench.hasPrograms, "the programs are not built") }
}
