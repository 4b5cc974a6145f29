import Foundation
import HostPrograms
import Testing

import VolaryHost

/// Digests are what coreutils says.
@Suite struct DigestTests {
  @Test(arguments: [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000, 100_003])
  func `of so many bytes`(_ count: Int) throws {
    let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 8) }
    for (algorithm, program) in [(Digest.Algorithm.sha1, "sha1sum"), (.sha256, "sha256sum")] {
      let expected = String(
        decoding: try run(program, input: Data(bytes)).prefix { $0 != 0x20 }, as: UTF8.self)
      for step in [count + 1, 1 + count / 3, 17] {
        var digest = Digest(algorithm)
        for start in stride(from: 0, to: count, by: step) {
          bytes[start..<min(count, start + step)].withUnsafeBytes { digest.add($0) }
        }
        #expect(digest.hexadecimal() == expected)
      }
    }
  }
}
