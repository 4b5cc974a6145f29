internal import VolaryAPI

/// `/1.0/resources`: the host and the pool that instances share.
struct ResourceRoutes: RouteGroup {
  private let instances: Instances

  init(_ instances: Instances) { self.instances = instances }

  var apiExtensions: [String] { ["resources", "resources_v2", "volary_pool"] }

  var routes: [Route] {
    [
      .get("/1.0/resources", "What the host has, and what of it is promised and used", right: .view) { call in
        // Sums tell of other projects' instances.
        guard try call.requireIdentity().reaches(project: nil) else {
          throw APIError.denied("the host's resources are not shown to those who are limited to projects")
        }
        return try await instances.resources()
      }
    ]
  }
}
