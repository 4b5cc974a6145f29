import Foundation
import HostSystem

/// Drives every reader of what a guest or a file says with random and structured input. The oracle is
/// that nothing traps, hangs, or takes memory without bound, and what each target checks of its own.
///
///     volary-fuzz [--seconds N] [--target NAME]... [--seed N]     run, from a seed of chance if none is given
///     volary-fuzz --target NAME --case N                         one case again, in this process
///     volary-fuzz --list
let options = FuzzOptions(CommandLine.arguments.dropFirst())
if options.lists {
  for target in FuzzTarget.all { print(target.name) }
  exit(0)
}
if let worker = options.worker {
  // Started by the supervisor, with the board as descriptor 3.
  FuzzWorker.run(options.targets[0], first: worker, board: Descriptor(owning: 3))
} else if let single = options.singleCase {
  options.targets[0].run(FuzzRandom(seed: single))
  print("\(options.targets[0].name) \(single): passed")
} else {
  exit(FuzzSupervisor(options).run() ? 0 : 1)
}
