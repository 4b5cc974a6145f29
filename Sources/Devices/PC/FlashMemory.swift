package import HostSystem
internal import Synchronization

/// Flash memory that firmware keeps its variables in: a chip that takes Intel's commands (JEDEC JEP137, command set 1), of
/// which firmware uses those for bytes, blocks and the status.
///
/// Guests read it as memory, for which the board has it mapped; only while a command is carried out do reads come here.
/// Programming clears bits, erasing a block sets them.
package final class FlashMemory: MMIODevice {
  /// Bytes that are erased at once.
  package static let blockSize = 4096

  private enum Command {
    static let program: UInt8 = 0x10
    static let programAlternate: UInt8 = 0x40
    static let erase: UInt8 = 0x20
    static let eraseConfirm: UInt8 = 0xD0
    static let clearStatus: UInt8 = 0x50
    static let readStatus: UInt8 = 0x70
  }

  private enum Status {
    /// A byte or a block is done. Clearing clears this bit too: by that firmware knows flash memory.
    static let ready: UInt8 = 1 << 7
    static let eraseFailed: UInt8 = 1 << 5
    static let programFailed: UInt8 = 1 << 4
    static let all = ready | eraseFailed | programFailed
  }

  package enum Mode: String, Codable, Sendable {
    /// Reads give the memory.
    case array
    /// Reads give the status.
    case status
    /// The next write is the byte for its address.
    case program
    /// The next write confirms that the block of its address is to be erased.
    case erase
  }

  private struct Guarded {
    var mode = Mode.array
    var status: UInt8 = 0
    /// What has changed since it was last kept.
    var changed: Range<Int>?
  }

  package let name: String
  package var registerSpace: UInt64 { UInt64(contents.size) }
  private let contents: Mapping
  private let showContents: @Sendable (Bool) -> Void
  private let keep: @Sendable (Int, UnsafeRawBufferPointer) -> Void
  private let guarded = Mutex(Guarded())

  /// - Parameters:
  ///   - contents: whole blocks.
  ///   - showContents: says whether guests are to read the contents as memory. So they do in the beginning.
  ///   - keep: gets what has changed and where that begins, before the guest goes on; for a file, if there is one.
  package init(
    name: String = "flash", contents: Mapping, showContents: @escaping @Sendable (Bool) -> Void,
    keep: @escaping @Sendable (_ offset: Int, _ bytes: UnsafeRawBufferPointer) -> Void
  ) {
    precondition(contents.size % Self.blockSize == 0, "flash memory has whole blocks")
    self.name = name
    self.contents = contents
    self.showContents = showContents
    self.keep = keep
  }

  /// As after power-on, with what it holds.
  package func reset() { guarded.withLock { leave(to: .array, &$0) } }

  package func read(offset: UInt64, width: Int) throws(BusFault) -> UInt64 {
    let place = Int(offset)
    return guarded.withLock { state in
      if state.mode == .status { return UInt64(state.status) }
      return (0..<width).reversed().reduce(0) {
        $0 << 8 | UInt64(contents.base.load(fromByteOffset: place + $1, as: UInt8.self))
      }
    }
  }

  package func write(offset: UInt64, width: Int, value: UInt64) throws(BusFault) {
    let place = Int(offset)
    guarded.withLock { state in
      switch state.mode {
      case .program:
        for index in 0..<width {
          program(place + index, UInt8(truncatingIfNeeded: value >> UInt64(8 * index)))
        }
        note(place..<place + width, &state)
        state.status |= Status.ready
        state.mode = .status
      case .erase:
        if UInt8(truncatingIfNeeded: value) == Command.eraseConfirm {
          let start = place & ~(Self.blockSize - 1)
          contents.base.advanced(by: start).initializeMemory(
            as: UInt8.self, repeating: 0xFF, count: Self.blockSize)
          note(start..<start + Self.blockSize, &state)
        } else {
          state.status |= Status.eraseFailed | Status.programFailed
        }
        state.status |= Status.ready
        state.mode = .status
      case .array, .status: obey(UInt8(truncatingIfNeeded: value), &state)
      }
    }
  }

  private func obey(_ command: UInt8, _ state: inout Guarded) {
    switch command {
    case Command.program, Command.programAlternate: leave(to: .program, &state)
    case Command.erase: leave(to: .erase, &state)
    case Command.clearStatus:
      state.status = 0
      leave(to: .array, &state)
    case Command.readStatus: leave(to: .status, &state)
    // Also for what it does not know, as chips do.
    default: leave(to: .array, &state)
    }
  }

  /// Brings it to a mode, and who reads it with it.
  private func leave(to mode: Mode, _ state: inout Guarded) {
    if mode == .array, let changed = state.changed {
      keep(
        changed.lowerBound,
        UnsafeRawBufferPointer(start: contents.base + changed.lowerBound, count: changed.count))
      state.changed = nil
    }
    if (mode == .array) != (state.mode == .array) { showContents(mode == .array) }
    state.mode = mode
  }

  private func program(_ place: Int, _ byte: UInt8) {
    contents.base.advanced(by: place).assumingMemoryBound(to: UInt8.self).pointee &= byte
  }

  private func note(_ range: Range<Int>, _ state: inout Guarded) {
    state.changed =
      state.changed.map {
        min($0.lowerBound, range.lowerBound)..<max($0.upperBound, range.upperBound)
      } ?? range
  }
}

// MARK: - State

extension FlashMemory: StatefulDevice {
  package static let stateKind = "cfi-flash"
  package static let stateVersion = 1

  package struct State: Codable, Equatable, Sendable {
    /// A block that is not erased: its number, and what it holds, words with the lowest byte first.
    package struct Block: Codable, Equatable, Sendable {
      package var number: Int
      package var words: [UInt64]

      package init(number: Int, words: [UInt64]) {
        self.number = number
        self.words = words
      }
    }

    package var mode: Mode
    package var status: UInt8
    package var blocks: [Block]

    package init(mode: Mode, status: UInt8, blocks: [Block]) {
      self.mode = mode
      self.status = status
      self.blocks = blocks
    }
  }

  private static let erasedBlock = [UInt64](repeating: .max, count: blockSize / 8)

  /// Setting it writes down what is another from what was there.
  package var state: State {
    get {
      guarded.withLock { guarded in
        let blocks = (0..<contents.size / Self.blockSize).map {
          State.Block(number: $0, words: words(of: $0))
        }
        return State(
          mode: guarded.mode, status: guarded.status, blocks: blocks.filter { $0.words != Self.erasedBlock })
      }
    }
    set {
      let blocks = Dictionary(newValue.blocks.map { ($0.number, $0.words) }) { $1 }
      guarded.withLock { guarded in
        for number in 0..<contents.size / Self.blockSize {
          let kept = blocks[number].flatMap { $0.count == Self.erasedBlock.count ? $0 : nil }
          let words = kept ?? Self.erasedBlock
          guard words != self.words(of: number) else { continue }
          let start = number * Self.blockSize
          for (index, word) in words.enumerated() {
            contents.base.storeBytes(of: word.littleEndian, toByteOffset: start + 8 * index, as: UInt64.self)
          }
          note(start..<start + Self.blockSize, &guarded)
        }
        guarded.status = newValue.status & Status.all
        leave(to: .array, &guarded)
        leave(to: newValue.mode, &guarded)
      }
    }
  }

  private func words(of block: Int) -> [UInt64] {
    (0..<Self.blockSize / 8).map {
      UInt64(
        littleEndian: contents.base.load(fromByteOffset: block * Self.blockSize + 8 * $0, as: UInt64.self))
    }
  }
}
