/// What kind of device a transport carries (virtio 1.3 §5).
package enum VirtioDeviceID: UInt32, Sendable {
  case network = 1
  case block = 2
  case console = 3
  case entropy = 4
  case balloon = 5
  case socket = 19
}
