/// A digest as the manifest of an OVF package names it: SHA-1 or SHA-256 (FIPS 180-4).
package struct Digest {
  package enum Algorithm: String, CaseIterable, Sendable {
    case sha1 = "SHA1"
    case sha256 = "SHA256"
  }

  private static let blockSize = 64
  /// FIPS 180-4, 4.2.2.
  private static let constants: [UInt32] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
  ]

  private let algorithm: Algorithm
  private var state: [UInt32]
  private var count: UInt64 = 0
  /// What does not fill a block yet.
  private var rest: [UInt8] = []
  /// The message schedule (6.1.2, 6.2.2), kept so that a block takes no memory.
  private var schedule = [UInt32](repeating: 0, count: 80)

  package init(_ algorithm: Algorithm) {
    self.algorithm = algorithm
    state =
      switch algorithm {
      case .sha1: [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]
      case .sha256:
        [
          0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab,
          0x5be0_cd19,
        ]
      }
  }

  package mutating func add(_ bytes: UnsafeRawBufferPointer) {
    count &+= UInt64(bytes.count)
    var start = 0
    if !rest.isEmpty {
      start = min(Self.blockSize - rest.count, bytes.count)
      rest += bytes[..<start]
      guard rest.count == Self.blockSize else { return }
      let block = rest
      rest = []
      block.withUnsafeBytes { addBlock($0) }
    }
    while bytes.count - start >= Self.blockSize {
      addBlock(UnsafeRawBufferPointer(rebasing: bytes[start..<start + Self.blockSize]))
      start += Self.blockSize
    }
    rest += bytes[start...]
  }

  /// The digest in hexadecimal, of everything that was added.
  package func hexadecimal() -> String {
    var last = self
    let zeroes = (Self.blockSize * 2 - 9 - rest.count) % Self.blockSize
    var padding: [UInt8] = [0x80] + [UInt8](repeating: 0, count: zeroes)
    withUnsafeBytes(of: (count &* 8).bigEndian) { padding += $0 }
    padding.withUnsafeBytes { last.add($0) }
    return last.state.map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 8 - digits.count) + digits
    }.joined()
  }

  private mutating func addBlock(_ bytes: UnsafeRawBufferPointer) {
    switch algorithm {
    case .sha1: addSHA1(bytes)
    case .sha256: addSHA256(bytes)
    }
  }

  /// FIPS 180-4, 6.1.2.
  private mutating func addSHA1(_ bytes: UnsafeRawBufferPointer) {
    schedule.withUnsafeMutableBufferPointer { w in
      for t in 0..<16 {
        w[t] = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4 * t, as: UInt32.self))
      }
      for t in 16..<80 { w[t] = Self.rotate(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 31) }
      var (a, b, c, d, e) = (state[0], state[1], state[2], state[3], state[4])
      for t in 0..<80 {
        let (f, k): (UInt32, UInt32) =
          switch t {
          case ..<20: (b & c ^ ~b & d, 0x5a82_7999)
          case ..<40: (b ^ c ^ d, 0x6ed9_eba1)
          case ..<60: (b & c ^ b & d ^ c & d, 0x8f1b_bcdc)
          default: (b ^ c ^ d, 0xca62_c1d6)
          }
        let next = Self.rotate(a, 27) &+ f &+ e &+ k &+ w[t]
        (a, b, c, d, e) = (next, a, Self.rotate(b, 2), c, d)
      }
      for (index, word) in [a, b, c, d, e].enumerated() { state[index] &+= word }
    }
  }

  /// FIPS 180-4, 6.2.2.
  private mutating func addSHA256(_ bytes: UnsafeRawBufferPointer) {
    schedule.withUnsafeMutableBufferPointer { w in
      for t in 0..<16 {
        w[t] = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: 4 * t, as: UInt32.self))
      }
      for t in 16..<64 {
        let low = Self.rotate(w[t - 15], 7) ^ Self.rotate(w[t - 15], 18) ^ w[t - 15] >> 3
        let high = Self.rotate(w[t - 2], 17) ^ Self.rotate(w[t - 2], 19) ^ w[t - 2] >> 10
        w[t] = w[t - 16] &+ low &+ w[t - 7] &+ high
      }
      var (a, b, c, d) = (state[0], state[1], state[2], state[3])
      var (e, f, g, h) = (state[4], state[5], state[6], state[7])
      Self.constants.withUnsafeBufferPointer { k in
        for t in 0..<64 {
          let choice = e & f ^ ~e & g
          let high = Self.rotate(e, 6) ^ Self.rotate(e, 11) ^ Self.rotate(e, 25)
          let first = h &+ high &+ choice &+ k[t] &+ w[t]
          let low = Self.rotate(a, 2) ^ Self.rotate(a, 13) ^ Self.rotate(a, 22)
          let second = low &+ (a & b ^ a & c ^ b & c)
          (h, g, f, e, d, c, b, a) = (g, f, e, d &+ first, c, b, a, first &+ second)
        }
      }
      state[0] &+= a
      state[1] &+= b
      state[2] &+= c
      state[3] &+= d
      state[4] &+= e
      state[5] &+= f
      state[6] &+= g
      state[7] &+= h
    }
  }

  @inline(__always) private static func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 {
    word >> count | word << (32 - count)
  }
}
