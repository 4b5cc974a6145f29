/// A message on the control queues (`virtio_console_control`, virtio 1.3 §5.3.6.2).
struct ConsoleControl {
  enum Event {
    static let deviceReady: UInt16 = 0
    static let deviceAdd: UInt16 = 1
    static let deviceRemove: UInt16 = 2
    static let portReady: UInt16 = 3
    static let consolePort: UInt16 = 4
    static let resize: UInt16 = 5
    static let portOpen: UInt16 = 6
    static let portName: UInt16 = 7
  }

  static let size = 8

  var port: UInt32
  var event: UInt16
  var value: UInt16

  init(port: Int, event: UInt16, value: UInt16 = 1) {
    self.port = UInt32(port)
    self.event = event
    self.value = value
  }

  /// Takes a message; nil when there are not enough bytes for one.
  init?(_ reader: inout ChainReader) {
    guard let port = reader.load(UInt32.self), let event = reader.load(UInt16.self),
      let value = reader.load(UInt16.self)
    else { return nil }
    self.port = port
    self.event = event
    self.value = value
  }

  /// The message's bytes with what follows it.
  func bytes(followedBy tail: [UInt8] = []) -> [UInt8] {
    var bytes: [UInt8] = []
    withUnsafeBytes(of: port.littleEndian) { bytes += $0 }
    withUnsafeBytes(of: event.littleEndian) { bytes += $0 }
    withUnsafeBytes(of: value.littleEndian) { bytes += $0 }
    return bytes + tail
  }
}
