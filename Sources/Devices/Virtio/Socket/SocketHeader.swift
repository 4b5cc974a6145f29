/// What every packet begins with (`virtio_vsock_hdr`, virtio 1.3 §5.10.6).
struct SocketHeader: Equatable {
  enum Operation {
    static let request: UInt16 = 1
    static let response: UInt16 = 2
    static let reset: UInt16 = 3
    static let shutdown: UInt16 = 4
    static let readWrite: UInt16 = 5
    static let creditUpdate: UInt16 = 6
    static let creditRequest: UInt16 = 7
  }

  /// Flags of ``Operation/shutdown`` (§5.10.6.4).
  enum Shutdown {
    static let receive: UInt32 = 1
    static let send: UInt32 = 2
    static let both: UInt32 = 3
  }

  /// Bytes.
  static let size = 44
  /// The type of a stream socket (`VIRTIO_VSOCK_TYPE_STREAM`).
  static let stream: UInt16 = 1

  var sourceCID: UInt64
  var destinationCID: UInt64
  var sourcePort: UInt32
  var destinationPort: UInt32
  /// Bytes of data behind the header.
  var count: UInt32 = 0
  var type = stream
  var operation: UInt16
  var flags: UInt32 = 0
  /// Bytes that the sender keeps for the connection (`buf_alloc`).
  var bufferSize: UInt32 = 0
  /// Bytes that the sender has taken out of there since the connection began (`fwd_cnt`).
  var forwarded: UInt32 = 0

  /// The answer to a packet that makes no sense.
  init(resetting other: SocketHeader) {
    sourceCID = other.destinationCID
    destinationCID = other.sourceCID
    sourcePort = other.destinationPort
    destinationPort = other.sourcePort
    type = other.type
    operation = Operation.reset
  }

  init(from sourceCID: UInt64, to destinationCID: UInt64, _ ports: SocketPorts, _ operation: UInt16) {
    self.sourceCID = sourceCID
    self.destinationCID = destinationCID
    sourcePort = ports.host
    destinationPort = ports.guest
    self.operation = operation
  }

  /// Takes a header; nil when there are not enough bytes for one.
  init?(_ reader: inout ChainReader) {
    guard let sourceCID = reader.load(UInt64.self), let destinationCID = reader.load(UInt64.self),
      let sourcePort = reader.load(UInt32.self), let destinationPort = reader.load(UInt32.self),
      let count = reader.load(UInt32.self), let type = reader.load(UInt16.self),
      let operation = reader.load(UInt16.self), let flags = reader.load(UInt32.self),
      let bufferSize = reader.load(UInt32.self), let forwarded = reader.load(UInt32.self)
    else { return nil }
    self.sourceCID = sourceCID
    self.destinationCID = destinationCID
    self.sourcePort = sourcePort
    self.destinationPort = destinationPort
    self.count = count
    self.type = type
    self.operation = operation
    self.flags = flags
    self.bufferSize = bufferSize
    self.forwarded = forwarded
  }

  /// Writes the header, for which there must be room.
  func write(to writer: inout ChainWriter) {
    writer.store(sourceCID)
    writer.store(destinationCID)
    writer.store(sourcePort)
    writer.store(destinationPort)
    writer.store(count)
    writer.store(type)
    writer.store(operation)
    writer.store(flags)
    writer.store(bufferSize)
    writer.store(forwarded)
  }
}

/// The two ends of a connection, which no other has between the same guest and host.
struct SocketPorts: Hashable {
  var guest: UInt32
  var host: UInt32
}
