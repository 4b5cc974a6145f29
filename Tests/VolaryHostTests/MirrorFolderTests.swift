import DiskImages
import Foundation
import Glibc
import HostPrograms
import HostSystem
import MachineControl
import Testing
import VolaryHost

/// What is known of mirrored disks, and those that no machine has.
@Suite struct MirrorFolderTests {
  private let place = TestFolder()
  private let size: UInt64 = 8 << 20

  private var folder: MirrorFolder { MirrorFolder("\(place.path)/mirrors/x") }
  private func side(_ number: Int) -> String { "\(place.path)/side\(number)" }

  /// Two raw files of zeroes, or one, and what is known of them.
  private func make(isThere: [Bool] = [true, true]) throws {
    for number in 0..<2 where isThere[number] { try LayerFile.createRaw("\(side(number))/x", size: size) }
  }

  private func begin(isThere: [Bool] = [true, true]) throws {
    for number in 0..<2 {
      try FileManager.default.createDirectory(atPath: side(number), withIntermediateDirectories: true)
    }
    try make(isThere: isThere)
    try folder.make(size: size, paths: ["\(side(0))/x", "\(side(1))/x"], isThere: isThere)
  }

  private func label(_ number: Int) throws -> DiskChain.Mirror.Label {
    let file = try #require(try folder.read()).files[number]
    return .init(place: UInt8(number), high: file.high, low: file.low, name: side(number))
  }

  /// The disk from one side, with the other if it is used too.
  private func chain(_ own: Int, with other: Int? = nil) throws -> DiskChain {
    let second = try other.map {
      DiskChain.Mirror.Side(try label($0), layers: [.init(path: "\(side($0))/x", format: .raw)])
    }
    return try #require(
      DiskChain(
        layers: [.init(path: "\(side(own))/x", format: .raw)], size: size,
        mirror: .init(metadata: folder.metadata, own: try label(own), other: second)))
  }

  private func write(_ number: Int, _ byte: UInt8, at offset: Int64) throws {
    let file = try Descriptor.open("\(side(number))/x", O_RDWR)
    try file.writeAll([UInt8](repeating: byte, count: 4096)[...], at: UInt64(offset))
  }

  private func bytes(_ number: Int) throws -> Data {
    try Data(contentsOf: URL(fileURLWithPath: "\(side(number))/x"))
  }

  @Test func saysWhatItWasTold() throws {
    #expect(try folder.read() == nil)
    try begin()
    let facts = try #require(try folder.read())
    #expect(facts.sides == [.current, .current] && facts.isSettled && facts.current == [0, 1])
    #expect(facts.files[0].isThere("\(side(0))/x") && facts.files[1].isThere("\(side(1))/x"))
    #expect(facts.files[0] != facts.files[1])
    // Another file under the name is another.
    try FileManager.default.moveItem(atPath: "\(side(1))/x", toPath: "\(side(1))/old")
    #expect(!facts.files[1].isThere("\(side(1))/x"))
    try LayerFile.createRaw("\(side(1))/x", size: size)
    #expect(!facts.files[1].isThere("\(side(1))/x"))
    try folder.renew(1)
    try folder.note(1, "\(side(1))/x")
    let later = try #require(try folder.read())
    #expect(later.files[1].isThere("\(side(1))/x") && later.files[1].low != facts.files[1].low)
    #expect(later.files[0] == facts.files[0])
    folder.remove()
    #expect(try folder.read() == nil)
  }

  @Test func whatIsDamagedIsSaid() throws {
    try begin()
    let file = try Descriptor.open(folder.metadata, O_RDWR)
    let length = try file.size()
    try file.writeAll([UInt8](repeating: 7, count: Int(length))[...], at: 0)
    #expect(throws: VolaryError.self) { try folder.read() }
    try file.truncate(to: 0)
    #expect(throws: VolaryError.self) { try folder.read() }
    try begin2()
  }

  /// Anew, over what is damaged; then the other file is.
  private func begin2() throws {
    try folder.make(size: size, paths: ["\(side(0))/x", "\(side(1))/x"], isThere: [true, true])
    #expect(try folder.read() != nil)
    for text in ["", "1 2\n3 4\n", "1 2 3\n", "1 2 3\n4 5 -6\n"] {
      try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path + "/sides"))
      #expect(throws: VolaryError.self, "\(text)") { try folder.read() }
    }
  }

  /// A side that was not there when the disk was made begins empty, and gets what was written since.
  @Test func aSideThatIsMadeLaterGetsWhatWasWritten() throws {
    try begin(isThere: [true, false])
    #expect(try folder.read()?.sides == [.current, .missing])
    let image = try MirrorImageOf(chain(0))
    try image.write(9, at: 5 << 20)
    try image.close()
    try LayerFile.createRaw("\(side(1))/x", size: size)
    try folder.note(1, "\(side(1))/x")
    let other = DiskChain.Mirror.Side(try label(1), layers: [.init(path: "\(side(1))/x", format: .raw)])
    var told: [UInt64] = []
    #expect(
      try MirrorRepair.rebuild(chain(0), adding: other) { done, _ in
        told.append(done)
        return false
      })
    // One region was to be copied, and no more.
    #expect(told.first == size - 1 << 20)
    #expect(try folder.read()?.isSettled == true)
    #expect(try bytes(0) == bytes(1))
    #expect(try bytes(1)[5 << 20] == 9)
  }

  /// One that has another file gets everything; what is left off goes on.
  @Test func aSideWithAnotherFileGetsEverything() throws {
    try begin()
    for region in 0..<8 { try write(0, UInt8(region + 1), at: Int64(region) << 20) }
    // As if the second had been lost: the first is opened alone.
    try MirrorRepair.settle(chain(0))
    #expect(try folder.read()?.sides == [.current, .missing])
    try folder.renew(1)
    try FileManager.default.removeItem(atPath: "\(side(1))/x")
    try LayerFile.createRaw("\(side(1))/x", size: size)
    try folder.note(1, "\(side(1))/x")
    let other = DiskChain.Mirror.Side(try label(1), layers: [.init(path: "\(side(1))/x", format: .raw)])
    var calls = 0
    #expect(
      try !MirrorRepair.rebuild(chain(0), adding: other) { _, _ in
        calls += 1
        return calls == 4
      })
    #expect(try folder.read()?.sides == [.current, .rebuilding])
    #expect(try bytes(0) != bytes(1))
    #expect(try MirrorRepair.rebuild(chain(0, with: 1), adding: nil) { _, _ in false })
    #expect(try folder.read()?.isSettled == true)
    #expect(try bytes(0) == bytes(1))
  }

  /// After a crash either side's bytes are right, and both have the same before one is read alone.
  @Test func sidesThatDifferAfterACrashAreMadeTheSame() throws {
    try begin()
    let image = try MirrorImageOf(chain(0, with: 1))
    try image.write(3, at: 2 << 20)
    image.abandon()
    #expect(try folder.read()?.isSettled == false)
    try write(1, 4, at: 2 << 20)
    try MirrorRepair.settle(chain(0, with: 1))
    #expect(try folder.read()?.isSettled == true)
    #expect(try bytes(0) == bytes(1))
  }

  /// Nothing is done to a disk that somebody has.
  @Test func aDiskInUseIsLeftAlone() throws {
    try begin()
    let holder = try Descriptor.open("\(side(1))/x", O_RDWR)
    try holder.lock(exclusive: true)
    #expect(throws: VolaryError.self) { try MirrorRepair.settle(chain(0, with: 1)) }
    #expect(try folder.read()?.isSettled == true)
  }
}

/// A pair as a machine has it.
private final class MirrorImageOf {
  private var image: MirrorImage?

  init(_ chain: DiskChain) throws {
    let mirror = try #require(chain.mirror)
    func side(_ label: DiskChain.Mirror.Label, _ path: String) throws -> MirrorSide {
      MirrorSide(
        try DiskImages.open(
          format: .raw, descriptor: try Descriptor.open(path, O_RDWR), name: path, readOnly: false),
        identity: MirrorIdentity(high: label.high, low: label.low), name: label.name)
    }
    var sides = [try side(mirror.own, chain.top.path)]
    if let other = mirror.other { sides.append(try side(other.label, other.layers[0].path)) }
    let metadata = try HostFile(
      try Descriptor.open(mirror.metadata, O_RDWR), name: mirror.metadata, readOnly: false)
    image = try MirrorImage(metadata: metadata, sides: sides, inBackground: false)
  }

  func write(_ byte: UInt8, at offset: UInt64) throws {
    let bytes = [UInt8](repeating: byte, count: 4096)
    try bytes.withUnsafeBytes { try image?.write(at: offset, from: $0) }
  }

  func close() throws {
    try image?.close()
    image = nil
  }

  /// As a process that is killed.
  func abandon() { image = nil }
}
