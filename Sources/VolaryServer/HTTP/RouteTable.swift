internal import HostSystem
package import VolaryAPI

/// All routes, found by the segments of a path. A segment that is written out comes before one in braces.
package struct RouteTable: Sendable {
  package let routes: [Route]
  private let root: Node

  private final class Builder {
    var literals: [String: Builder] = [:]
    var parameter: (name: String, node: Builder)?
    var methods: [Route.Method: Route] = [:]

    var node: Node {
      Node(
        literals: literals.mapValues(\.node), parameterName: parameter?.name,
        parameter: parameter.map { [$0.node.node] } ?? [], methods: methods)
    }
  }

  private struct Node: Sendable {
    let literals: [String: Node]
    let parameterName: String?
    /// None or one.
    let parameter: [Node]
    let methods: [Route.Method: Route]
  }

  /// Two routes for the same are a mistake of ours.
  package init(_ routes: [Route]) {
    self.routes = routes
    let builder = Builder()
    for route in routes {
      var node = builder
      for segment in route.path.split(separator: "/") {
        if segment.hasPrefix("{") {
          let name = String(segment.dropFirst().dropLast())
          precondition((node.parameter?.name ?? name) == name, "\(route.path): braces go by \(name)")
          let next = node.parameter?.node ?? Builder()
          node.parameter = (name, next)
          node = next
        } else {
          let next = node.literals[String(segment)] ?? Builder()
          node.literals[String(segment)] = next
          node = next
        }
      }
      precondition(node.methods[route.method] == nil, "two routes for \(route.method) \(route.path)")
      node.methods[route.method] = route
    }
    root = builder.node
  }

  package struct Match: Sendable {
    package let methods: [Route.Method: Route]
    package let parameters: [String: String]
  }

  /// What there is at a path, as it stands in the request, without its query.
  package func find(_ path: Substring) throws(APIError) -> Match {
    var segments: [String] = []
    guard path.first == "/", path.utf8.count <= 4096 else {
      throw .invalid("a path begins with / and is short")
    }
    for part in path.dropFirst().split(separator: "/", omittingEmptySubsequences: false) {
      guard let segment = PercentEncoding.decode(part) else {
        throw .invalid("the path holds a percent sign that is followed by no character")
      }
      segments.append(segment)
    }
    if segments.last == "" { segments.removeLast() }  // a slash at the end
    var parameters: [String: String] = [:]
    guard let node = Self.walk(root, segments[...], &parameters), !node.methods.isEmpty else {
      throw .notFound("there is nothing at \(Self.printable(path))")
    }
    return Match(methods: node.methods, parameters: parameters)
  }

  private static func walk(
    _ node: Node, _ segments: ArraySlice<String>, _ parameters: inout [String: String]
  ) -> Node? {
    guard let segment = segments.first else { return node }
    let rest = segments.dropFirst()
    if let next = node.literals[segment], let found = walk(next, rest, &parameters), !found.methods.isEmpty {
      return found
    }
    guard let name = node.parameterName, let next = node.parameter.first, isName(segment) else { return nil }
    parameters[name] = segment
    return walk(next, rest, &parameters)
  }

  /// What may stand for a name: no text that moves about in directories, nothing invisible.
  private static func isName(_ segment: String) -> Bool {
    !segment.isEmpty && segment != "." && segment != ".." && segment.utf8.count <= 1024
      && segment.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
  }

  private static func printable(_ path: Substring) -> String {
    String(path.prefix(200).map { $0.isASCII && !$0.isNewline ? $0 : "?" })
  }
}
