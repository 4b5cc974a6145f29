/// How a file is compressed.
enum Compression: Sendable, CaseIterable {
  case gzip, xz, zstandard, lz4, bzip2, lzma, lzo

  var name: String {
    switch self {
    case .gzip: "gzip"
    case .xz: "xz"
    case .zstandard: "zstd"
    case .lz4: "LZ4"
    case .bzip2: "bzip2"
    case .lzma: "lzma"
    case .lzo: "LZO"
    }
  }

  /// The bytes that such a file starts with. LZ4's is the legacy frame, the one that Linux uses.
  private var magic: [UInt8] {
    switch self {
    case .gzip: [0x1F, 0x8B]
    case .xz: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]
    case .zstandard: [0x28, 0xB5, 0x2F, 0xFD]
    case .lz4: [0x02, 0x21, 0x4C, 0x18]
    case .bzip2: [0x42, 0x5A, 0x68]
    case .lzma: [0x5D, 0x00, 0x00]
    case .lzo: [0x89, 0x4C, 0x5A, 0x4F]
    }
  }

  /// What a file is compressed with, told by its first bytes; nil for none of these.
  init?(start: [UInt8]) {
    guard let found = Self.allCases.first(where: { start.starts(with: $0.magic) }) else { return nil }
    self = found
  }
}
