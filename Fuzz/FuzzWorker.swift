import Foundation
import HostSystem

/// The process that carries out cases, and may die of one.
enum FuzzWorker {
  /// Runs case after case, for as long as the supervisor lets it.
  static func run(_ target: FuzzTarget, first: UInt64, board: Descriptor) -> Never {
    guard let board = try? FuzzBoard(board) else { exit(2) }
    var seeds = FuzzRandom(seed: first)
    while true {
      let seed = seeds.next()
      board.current = seed
      board.startedAt = monotonicNanoseconds()
      target.run(FuzzRandom(seed: seed))
      board.done += 1
    }
  }

  /// Tells the person something that is no finding.
  static func say(_ line: String) {
    FileHandle.standardError.write(Data("volary-fuzz: \(line)\n".utf8))
  }
}
