internal import GuestMemory

/// What a loader tells a kernel beyond `boot_params`: a list of elements with a number for what each is (`struct
/// setup_data`, Documentation/arch/x86/boot.rst, "setup_data").
enum SetupData {
  private enum Field {
    static let next = 0
    static let type = 8
    static let length = 12
    static let data = 16
  }
  /// SETUP_RNG_SEED: random bytes, which the kernel wipes as it takes them. Since Linux 6.0; others pass over it.
  private static let entropySeed: UInt32 = 9

  /// Writes a list of one element.
  static func write(entropySeed seed: [UInt8], to page: GuestSlice) {
    page.store(UInt64(0), at: Field.next)
    page.store(entropySeed, at: Field.type)
    page.store(UInt32(seed.count), at: Field.length)
    let room = page.part(Field.data..<Field.data + seed.count)
    seed.withUnsafeBytes { room.copy(from: $0) }
  }
}
