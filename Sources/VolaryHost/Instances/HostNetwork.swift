internal import Foundation
internal import Glibc
package import HostSystem

/// A network of the host's own that a guest's card can be on: a bridge, or a TAP device that somebody made.
package enum HostNetwork {
  case bridge(HostLink)
  case tap(String)

  /// Finds it by its name. Throws with the way out where there is none, or where a guest cannot be on it.
  package init(_ name: String) throws(VolaryError) {
    let link: HostLink?
    do throws(Errno) { link = try HostLink.named(name) } catch {
      throw VolaryError("the host's network devices cannot be read: \(error)")
    }
    guard let link else {
      throw VolaryError(
        .notFound, "there is no network `\(name)`",
        wayOut: "'volary network list' shows those that there are; a bridge is made with "
          + "'sudo ip link add br0 type bridge' and 'sudo ip link set br0 up'")
    }
    switch link.kind {
    case "bridge":
      guard Self.mayMakeDevices else { throw Self.denied(name) }
      self = .bridge(link)
    case "tun": self = .tap(name)
    default:
      throw VolaryError(
        .usage, "the network `\(name)` is a network card of the host, which a guest cannot share",
        wayOut: "put it in a bridge ('sudo ip link set \(name) master br0') and name the bridge")
    }
  }

  /// Attaches: gives what frames are read from and written to. A device that was made for that is called `device`, and
  /// goes with the descriptor.
  func attach(device: String) throws(VolaryError) -> Descriptor {
    switch self {
    case .tap(let name):
      do throws(TapDevice.Failure) { return try TapDevice.attach(name) } catch {
        throw VolaryError(tap: name, error)
      }
    case .bridge(let bridge):
      let tap: Descriptor
      do throws(TapDevice.Failure) { tap = try TapDevice.make(device) } catch {
        switch error {
        case .denied, .driverDenied: throw Self.denied(bridge.name)
        case .noDriver: throw VolaryError(tap: device, error)
        case .busy:
          throw VolaryError(.conflict, "the network `\(bridge.name)`: there is a device \(device) already")
        default:
          throw VolaryError("the network `\(bridge.name)`: no TAP device can be made (\(error))")
        }
      }
      do throws(Errno) { try bridge.take(device) } catch {
        if error.code == EPERM { throw Self.denied(bridge.name) }
        throw VolaryError("the bridge `\(bridge.name)` does not take \(device): \(error)")
      }
      return tap
    }
  }

  /// Whether this process may make network devices (capabilities(7), CAP_NET_ADMIN).
  package static var mayMakeDevices: Bool {
    let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
    guard let line = status.split(separator: "\n").first(where: { $0.hasPrefix("CapEff:") }),
      let effective = UInt64(line.dropFirst(7).trimmingCharacters(in: .whitespaces), radix: 16)
    else { return false }
    return effective & 1 << 12 != 0
  }

  private static func denied(_ bridge: String) -> VolaryError {
    let user = NSUserName()
    return VolaryError(
      .denied, "the network `\(bridge)`: a daemon of \(user) may not put network devices on a bridge",
      wayOut: "root's daemon may ('sudo volaryd install'); or have a TAP device with "
        + "'sudo ip tuntap add dev tap0 mode tap user \(user)' and 'sudo ip link set tap0 master \(bridge) up', "
        + "and name the network tap0")
  }
}
