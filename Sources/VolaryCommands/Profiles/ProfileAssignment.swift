internal import ArgumentParser
internal import VolaryAPI
internal import VolaryHost

extension ProfileCommand {
  struct Assign: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Have an instance have these profiles and no others: volary profile assign web default,big",
      aliases: ["apply"])

    @Argument(completion: InstanceCompletion.names) var instance: String
    @Argument(help: "With commas between; '' for none.", completion: ProfileCompletion.names) var profiles:
      String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let names = profiles.split(separator: ",").map(String.init)
      try ProfileCommand.assign(instance, project) { _ in names }
    }
  }

  struct Add: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Give an instance one more profile, over those that it has.")

    @Argument(completion: InstanceCompletion.names) var instance: String
    @Argument(completion: ProfileCompletion.names) var profile: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let profile = profile
      try ProfileCommand.assign(instance, project) { $0 + [profile] }
    }
  }

  struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Take a profile from an instance.")

    @Argument(completion: InstanceCompletion.names) var instance: String
    @Argument(completion: ProfileCompletion.names) var profile: String
    @OptionGroup var project: ProjectOption

    func run() throws {
      let (profile, instance) = (profile, instance)
      try ProfileCommand.assign(instance, project) { names throws(VolaryError) in
        guard names.contains(profile) else {
          throw VolaryError(.notFound, "the instance \(instance) does not have the profile \(profile)")
        }
        return names.filter { $0 != profile }
      }
    }
  }

  /// Changes which profiles an instance has, unless somebody else does so meanwhile.
  private static func assign(
    _ name: String, _ project: ProjectOption,
    _ change: @escaping @Sendable ([String]) throws(VolaryError) -> [String]
  ) throws {
    let (path, query) = ("/1.0/instances/\(APIEndpoint.escaped(name))", project.query)
    try Daemon.run { client in
      let reply = try await client.send("GET", path, query: query)
      let instance: InstanceObject = try reply.metadata()
      let body = InstancePut(profiles: try change(instance.profiles))
      _ = try await client.patch(path, query: query, body, etag: reply.etag)
      let changed = try await client.get(path, query: query, as: InstanceObject.self)
      changed.tellOfRestart()
    }
  }
}
