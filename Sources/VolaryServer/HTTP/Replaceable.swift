internal import Foundation
internal import VolaryAPI

/// An object of which a PUT replaces a part. The rest comes and goes by itself, as states and lists of users do: a
/// change that is made with If-Match is not refused for that.
protocol Replaceable: Encodable {
  associatedtype Part: Encodable
  var replaced: Part { get }
}

extension Replaceable {
  /// Hashed in its ETag.
  var replacedJSON: Data { get throws { try APICoding.encode(replaced) } }
}

extension InstanceObject: Replaceable {
  /// Without the keys that the daemon writes.
  var replaced: InstancePut {
    InstancePut(
      description: description, config: config.filter { !$0.key.hasPrefix("volatile.") }, devices: devices,
      profiles: profiles, ephemeral: ephemeral)
  }
}

extension SnapshotObject: Replaceable {
  var replaced: SnapshotPut { SnapshotPut(expiresAt: expiresAt, description: description) }
}

extension ProfileObject: Replaceable {
  var replaced: ProfilePut { ProfilePut(description: description, config: config, devices: devices) }
}

extension ProjectObject: Replaceable {
  var replaced: ProjectPut { ProjectPut(description: description, config: config) }
}

extension StoragePoolObject: Replaceable {
  var replaced: StoragePoolPut { StoragePoolPut(description: description, config: config) }
}

extension StorageVolumeObject: Replaceable {
  var replaced: StorageVolumePut { StorageVolumePut(description: description, config: config) }
}

extension ServerObject: Replaceable {
  var replaced: ServerPut { ServerPut(config: config) }
}
