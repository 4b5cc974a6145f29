/// What the host's kernel counts of a machine's processes; null for what it does not count.
package struct ControlGroupObject: Codable, Equatable, Sendable {
  /// Bytes, with the host's cache of what the machine read and wrote.
  package var memory: Int64?
  /// Bytes that they may have.
  package var memoryMaximum: Int64?
  /// Nanoseconds of processor time.
  package var cpuUsage: Int64?
  /// Nanoseconds in which their cap held them back.
  package var cpuThrottled: Int64?
  /// Bytes, of all of the host's disks.
  package var bytesRead: Int64?
  package var bytesWritten: Int64?

  private enum CodingKeys: String, CodingKey {
    case memory
    case memoryMaximum = "memory_max"
    case cpuUsage = "cpu_usage"
    case cpuThrottled = "cpu_throttled"
    case bytesRead = "bytes_read"
    case bytesWritten = "bytes_written"
  }

  package init(
    memory: Int64? = nil, memoryMaximum: Int64? = nil, cpuUsage: Int64? = nil, cpuThrottled: Int64? = nil,
    bytesRead: Int64? = nil, bytesWritten: Int64? = nil
  ) {
    self.memory = memory
    self.memoryMaximum = memoryMaximum
    self.cpuUsage = cpuUsage
    self.cpuThrottled = cpuThrottled
    self.bytesRead = bytesRead
    self.bytesWritten = bytesWritten
  }
}
