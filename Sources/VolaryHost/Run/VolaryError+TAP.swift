internal import Foundation
internal import HostSystem

extension VolaryError {
  /// Why a machine cannot have a TAP device, and the way out.
  init(tap name: String, _ failure: TapDevice.Failure) {
    let make = "'sudo ip tuntap add dev \(name) mode tap user \(NSUserName())'"
    switch failure {
    case .noDriver:
      self.init(
        .notFound, "--network tap=\(name): this host has no TAP devices (there is no \(TapDevice.path))",
        wayOut: "load their module with 'sudo modprobe tun'")
    case .driverDenied:
      self.init(
        .denied, "--network tap=\(name): \(TapDevice.path) may not be opened by this user",
        wayOut:
          "open it to all, who still need a TAP device of their own, with 'sudo chmod 666 \(TapDevice.path)'")
    case .badName:
      self.init(.usage, "--network tap=\(name): no network device can have that name")
    case .noDevice:
      self.init(
        .notFound, "--network tap=\(name): there is no network device \(name)",
        wayOut: "make it with \(make), then 'sudo ip link set \(name) up'")
    case .notTAP:
      self.init(
        .usage, "--network tap=\(name): \(name) is no TAP device",
        wayOut: "make one of another name with \(make)")
    case .denied:
      self.init(
        .denied, "--network tap=\(name): \(name) belongs to another user",
        wayOut: "make one of your own with \(make)")
    case .busy:
      self.init(.conflict, "--network tap=\(name): \(name) is in use by another process")
    case .other(let error): self.init("--network tap=\(name): \(name) cannot be attached to: \(error)")
    }
  }
}
