package import DiskImages
package import HostSystem
internal import Synchronization

/// Gets a machine's disks on servers the connections that the machine asks for, since its process may open none. It
/// tries for as long as it takes, in a thread for each disk that is asked for, and hands each socket over.
package final class DiskConnector: Sendable {
  /// Nanoseconds between two attempts, at first and at most; it doubles. A machine that asks again and again is held to
  /// it too.
  private static let pauses: (first: Int64, most: Int64) = (100_000_000, 3_000_000_000)
  /// Nanoseconds for which a connection has to have been good for the next to be tried at once.
  private static let goodTime: UInt64 = 10_000_000_000

  private struct Disk {
    let location: NBDLocation
    var isUnderWay = false
    var pause = DiskConnector.pauses.first
    var connectedAt: UInt64 = 0
  }

  private let disks: Mutex<[String: Disk]>
  private let over = Completion()
  private let report: @Sendable (String, Errno) -> Void
  private let handOver: @Sendable (String, Descriptor) -> Void

  /// `locations` by the disks' serial numbers. Both closures are called by threads of the connector's: `report` when a
  /// server cannot be reached, for each reason once in a row, and `handOver` with a connected socket.
  package init(
    _ locations: [String: NBDLocation], report: @escaping @Sendable (String, Errno) -> Void,
    handOver: @escaping @Sendable (String, Descriptor) -> Void
  ) {
    disks = Mutex(locations.mapValues { Disk(location: $0) })
    self.report = report
    self.handOver = handOver
  }

  deinit { over.complete() }

  /// Begins to connect for a disk, unless that is under way.
  package func connect(_ serial: String) {
    let begun = disks.withLock { disks -> (NBDLocation, Int64)? in
      guard var disk = disks[serial], !disk.isUnderWay else { return nil }
      disk.isUnderWay = true
      let isQuick = monotonicNanoseconds() < disk.connectedAt + Self.goodTime && disk.connectedAt > 0
      let wait = isQuick ? disk.pause : 0
      disk.pause = isQuick ? min(disk.pause * 2, Self.pauses.most) : Self.pauses.first
      disks[serial] = disk
      return (disk.location, wait)
    }
    guard let (location, wait) = begun else { return }
    let over = over
    do throws(Errno) {
      _ = try Thread.start(name: "disk-connector") { [weak self] in
        if wait > 0, over.wait(nanoseconds: wait) { return }
        var pause = Self.pauses.first
        var reported: Errno?
        while true {
          do throws(Errno) {
            let socket = try location.connect()
            self?.finish(serial, socket)
            return
          } catch {
            if error != reported { self?.report(serial, error) }
            reported = error
          }
          if self == nil || over.wait(nanoseconds: pause) { return }
          pause = min(pause * 2, Self.pauses.most)
        }
      }
    } catch {
      disks.withLock { $0[serial]?.isUnderWay = false }
      report(serial, error)
    }
  }

  private func finish(_ serial: String, _ socket: Descriptor) {
    disks.withLock {
      $0[serial]?.isUnderWay = false
      $0[serial]?.connectedAt = monotonicNanoseconds()
    }
    if !over.wait(nanoseconds: 0) { handOver(serial, socket) }
  }

  /// Has it end; nothing is handed over any more.
  package func stop() { over.complete() }
}
