import DiskImages
import Foundation
import Glibc
import HostSystem
import Testing

/// Files that were cut or changed are refused or read, and never trap, hang or take memory.
@Suite struct DamageTests {
  /// Small images of each kind, and where their tables are, which is where changes are felt.
  struct Victim: CustomTestStringConvertible {
    let format: DiskFormat
    let command: String
    let size: Int
    var testDescription: String { command }
  }

  static let victims = [
    Victim(format: .vmdk, command: "-O vmdk", size: 200 << 10),
    Victim(format: .vmdk, command: "-O vmdk -o subformat=streamOptimized", size: 200 << 10),
    Victim(format: .vdi, command: "-O vdi", size: 200 << 10),
    Victim(format: .vhd, command: "-O vpc -o force_size=on", size: 200 << 10),
    Victim(format: .vhd, command: "-O vpc -o subformat=fixed,force_size=on", size: 200 << 10),
    Victim(format: .vhdx, command: "-O vhdx -o block_size=1M,log_size=1M", size: 200 << 10),
  ]

  /// Reads a disk in some places, and says where what it holds ends.
  static func use(_ disk: any DiskImage, _ generator: inout Xorshift) {
    var position: UInt64 = 0
    for _ in 0..<8 {
      guard position < disk.size, let extent = try? disk.extent(at: position, limit: disk.size) else { break }
      #expect(extent.end > position && extent.end <= disk.size)
      position = extent.end
    }
    for _ in 0..<8 {
      let count = Int.random(in: 1...70_000, using: &generator)
      let place = generator.next() % 2 == 0 ? generator.next() % (1 << 21) : generator.next() % disk.size
      _ = try? disk.bytes(place, count)
    }
  }

  @Test(.enabled(if: SampleImages.hasTool), arguments: victims)
  func `cut anywhere`(_ victim: Victim) throws {
    let samples = try SampleImages(size: victim.size)
    #expect(samples.tool("convert \(victim.command) raw image"))
    let image = try samples.bytes("image")
    var generator = Xorshift(seed: 3)
    // Long images in fewer steps, the first and last ones whole.
    let step = max(1, image.count / 512 / 600) * 512
    let ends = Set(stride(from: 0, to: image.count, by: step)).union(stride(from: 0, to: 64 << 10, by: 512))
      .union((1...64).map { max(0, image.count - 512 * $0) })
    for end in ends.sorted() where end < image.count {
      guard let disk = try? SampleImages.open(Array(image[..<end]), victim.format) else { continue }
      Self.use(disk, &generator)
      // What can still be read is right.
      if disk.size == victim.size, let contents = try? disk.contents { #expect(contents == samples.pattern) }
    }
  }

  @Test(.enabled(if: SampleImages.hasTool), arguments: victims)
  func `changed anywhere`(_ victim: Victim) throws {
    let samples = try SampleImages(size: victim.size)
    #expect(samples.tool("convert \(victim.command) raw image"))
    let image = try samples.bytes("image")
    let tables = Self.tables(of: image, victim.format)
    var generator = Xorshift(seed: 4)
    let rounds = ProcessInfo.processInfo.environment["VOLARY_FUZZ_ROUNDS"].flatMap { Int($0) } ?? 400
    var opened = 0
    for _ in 0..<rounds {
      var changed = image
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let range = tables.randomElement(using: &generator)!
        let place = Int.random(in: range, using: &generator)
        switch generator.next() % 4 {
        case 0: changed[place] ^= 1 << UInt8(generator.next() % 8)
        case 1: changed[place] = [0, 1, 0x7F, 0x80, 0xFF].randomElement(using: &generator)!
        default:
          let size = [2, 4, 8].randomElement(using: &generator)!
          let start = place / size * size
          let words: [UInt64] = [
            0, 1, UInt64.max, UInt64.max / 2, 1 << 32, 1 << 40, generator.next(), generator.next() % 1000,
          ]
          let value = words[Int(generator.next() % 8)]
          for index in 0..<size where start + index < changed.count {
            changed[start + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index))
          }
        }
      }
      Self.restoreChecksums(&changed, victim.format)
      guard let disk = try? SampleImages.open(changed, victim.format) else { continue }
      opened += 1
      Self.use(disk, &generator)
    }
    #expect(opened > rounds / 20)
  }

  private static func tables(of image: [UInt8], _ format: DiskFormat) -> [Range<Int>] {
    switch format {
    case .vmdk:
      [0..<80, 0..<80, 512..<4096, 65536..<min(image.count, 66560), image.count - 1536..<image.count]
    case .vdi: [64..<456, 512..<1024, 340..<392]
    case .vhd: [0..<100, 512..<580, 1536..<2048, image.count - 512..<image.count]
    default:
      [
        65536..<65616, 131072..<131152, 196608..<196700, 1 << 20..<1 << 20 + 64, 2 << 20..<2 << 20 + 256,
        2 << 20 + 65536..<2 << 20 + 65600, 3 << 20..<3 << 20 + 64,
      ].filter { $0.upperBound <= image.count }
    }
  }

  /// Makes checksums right again, so that what is behind them is looked at.
  private static func restoreChecksums(_ image: inout [UInt8], _ format: DiskFormat) {
    if format == .vhd {
      for (start, length, place) in [(0, 512, 64), (image.count - 512, 512, 64), (512, 1024, 36)]
      where image[start] == 0x63 {
        image.replaceSubrange(start + place..<start + place + 4, with: [0, 0, 0, 0])
        let sum = ~image[start..<start + length].reduce(UInt32(0)) { $0 &+ UInt32($1) }
        for index in 0..<4 {
          image[start + place + index] = UInt8(truncatingIfNeeded: sum >> UInt32(24 - 8 * index))
        }
      }
    }
    if format == .vhdx {
      for start in [65536, 131072] {
        image.replaceSubrange(start + 4..<start + 8, with: [0, 0, 0, 0])
        let sum = VHDXLogTests.crc(Array(image[start..<start + 4096]))
        for index in 0..<4 { image[start + 4 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
      }
    }
  }
}
