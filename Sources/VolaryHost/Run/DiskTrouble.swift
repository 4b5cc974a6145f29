import Glibc
import HostSystem

/// What a guest asked of its disk and the host would not do, in words for the person.
struct DiskTrouble {
  private let machine: String
  /// Where the disk lies: a file of the person's own, or the folder of the files without a name.
  private let place: String
  private let isOwn: Bool
  private let operation: String
  private let cause: Errno

  /// `disk` is the serial that ``MachineLauncher`` gave it.
  init(_ plan: RunPlan, disk: String, operation: String, error: Errno) {
    machine = plan.name
    isOwn = disk == MachineLauncher.ownDiskSerial
    place = isOwn ? plan.ownDisk?.path ?? disk : ScratchFile.folder
    self.operation = operation
    cause = error
  }

  var error: VolaryError {
    VolaryError(
      "\(machine): \(reason): \(cause), and the guest sees input and output errors", wayOut: wayOut)
  }

  private var isFull: Bool { cause.isWantOfRoom }

  private var reason: String {
    switch (isFull, isOwn) {
    case (true, true): "the host's disk is full under \(place)"
    case (true, false): "the host's disk is full in \(place), where the guest's lies"
    case (false, true): "the host cannot \(operation) the disk \(place)"
    case (false, false): "the host cannot \(operation) the guest's disk in \(place)"
    }
  }

  private var wayOut: String? {
    if cause == Errno(EFBIG) { return "raise the limit of file sizes ('ulimit -f')" }
    guard isFull else { return nil }
    return isOwn
      ? "make room there, or move it to another disk"
      : "make room there, or set TMPDIR to a folder on another disk"
  }
}
