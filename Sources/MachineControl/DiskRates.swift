/// What a disk may move for its guest: bytes and requests a second; zero for as much as it can.
package struct DiskRates: Equatable, Sendable {
  package var readBytes: UInt64
  package var writtenBytes: UInt64
  package var reads: UInt64
  package var writes: UInt64

  package init(readBytes: UInt64 = 0, writtenBytes: UInt64 = 0, reads: UInt64 = 0, writes: UInt64 = 0) {
    self.readBytes = readBytes
    self.writtenBytes = writtenBytes
    self.reads = reads
    self.writes = writes
  }

  func write(to writer: inout WireWriter) {
    for rate in [readBytes, writtenBytes, reads, writes] { writer.integer(rate) }
  }

  init(from reader: inout WireReader) throws(WireError) {
    self.init(
      readBytes: try reader.integer(), writtenBytes: try reader.integer(), reads: try reader.integer(),
      writes: try reader.integer())
  }
}
