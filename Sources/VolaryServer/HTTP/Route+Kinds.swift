internal import Foundation
internal import NIOCore
package import VolaryAPI

// The kinds of routes: what a handler takes and gives is in its type, so that declaration and code agree.
extension Route {
  /// One object, with its ``ETag``.
  package static func get<Object: Codable & Sendable>(
    _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    _ handler: @escaping @Sendable (Call) async throws -> Object
  ) -> Route {
    Route(
      .get, path, summary, right: right, query: query, answer: .object(Object.self),
      action: .respond { call in try .tagged(try await handler(call), for: call) })
  }

  /// Many objects: their paths, or with `recursion` themselves; those that pass `filter`.
  package static func list<Object: Codable & Sendable>(
    _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    pathOf: @escaping @Sendable (Object) -> String,
    _ handler: @escaping @Sendable (Call) async throws -> [Object]
  ) -> Route {
    list(path, summary, right: right, query: query, objectPath: { _, object in pathOf(object) }, handler)
  }

  /// As ``list(_:_:right:query:pathOf:_:)``, of what lies beneath something that the path names.
  package static func list<Object: Codable & Sendable>(
    _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    objectPath: @escaping @Sendable (Call, Object) -> String,
    _ handler: @escaping @Sendable (Call) async throws -> [Object]
  ) -> Route {
    Route(
      .get, path, summary, right: right, query: query + [.recursion, .filter], answer: .list(Object.self),
      action: .respond { call in
        let objects = try call.filter(try await handler(call))
        if call.query.integer("recursion") ?? 0 > 0 { return try .tagged(objects, for: call) }
        return try .tagged(objects.map { objectPath(call, $0) }, for: call)
      })
  }

  /// As ``list(_:_:right:query:pathOf:_:)``, in groups by the word that `groupOf` gives.
  package static func groups<Object: Codable & Sendable>(
    _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    pathOf: @escaping @Sendable (Object) -> String, groupOf: @escaping @Sendable (Object) -> String,
    _ handler: @escaping @Sendable (Call) async throws -> [Object]
  ) -> Route {
    Route(
      .get, path, summary, right: right, query: query + [.recursion, .filter], answer: .groups(Object.self),
      action: .respond { call in
        let groups = Dictionary(grouping: try call.filter(try await handler(call)), by: groupOf)
        if call.query.integer("recursion") ?? 0 > 0 { return try .tagged(groups, for: call) }
        return try .tagged(groups.mapValues { $0.map(pathOf) }, for: call)
      })
  }

  /// A change with a body, done when it is answered.
  package static func change<Body: Codable & Sendable>(
    _ method: Method, _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    _ handler: @escaping @Sendable (Call, Body) async throws -> Void
  ) -> Route {
    Route(
      method, path, summary, right: right, query: query, request: Body.self, answer: .nothing,
      action: .respond { call in
        try await handler(call, try call.decode(Body.self))
        return .done
      })
  }

  /// A change without a body, done when it is answered.
  package static func change(
    _ method: Method, _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    _ handler: @escaping @Sendable (Call) async throws -> Void
  ) -> Route {
    Route(
      method, path, summary, right: right, query: query, answer: .nothing,
      action: .respond { call in
        try await handler(call)
        return .done
      })
  }

  /// Makes something at once; the handler gives its path.
  package static func make<Body: Codable & Sendable>(
    _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    _ handler: @escaping @Sendable (Call, Body) async throws -> String
  ) -> Route {
    Route(
      .post, path, summary, right: right, query: query, request: Body.self, answer: .made,
      action: .respond { call in .made(try await handler(call, try call.decode(Body.self))) })
  }

  /// Begins an operation, with a body.
  package static func begin<Body: Codable & Sendable>(
    _ method: Method, _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    _ handler: @escaping @Sendable (Call, Body) async throws -> OperationObject
  ) -> Route {
    Route(
      method, path, summary, right: right, query: query, request: Body.self, answer: .operation,
      action: .respond { call in try .begun(try await handler(call, try call.decode(Body.self))) })
  }

  /// Begins an operation, without a body.
  package static func begin(
    _ method: Method, _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [],
    _ handler: @escaping @Sendable (Call) async throws -> OperationObject
  ) -> Route {
    Route(
      method, path, summary, right: right, query: query, answer: .operation,
      action: .respond { call in try .begun(try await handler(call)) })
  }

  /// A websocket and nothing else.
  package static func webSocket(
    _ path: String, _ summary: String, right: Right, query: [QueryParameter] = [], _ action: WebSocketAction
  ) -> Route {
    Route(
      .get, path, summary, right: right, query: query, answer: .nothing, webSocket: action,
      action: .respond { _ in throw APIError(.upgradeRequired, "this path is a websocket") })
  }
}

extension Call {
  /// Those that pass the filter of the query.
  func filter<Object: Encodable>(_ objects: [Object]) throws -> [Object] {
    guard let text = query[.filter] else { return objects }
    let filter = try Filter(text)
    return try objects.filter { filter.fits(try JSONValue(encoding: $0)) }
  }

  /// The body as a value. No body is read as an empty object.
  package func decode<Value: Decodable>(_ type: Value.Type) throws(APIError) -> Value {
    let data = body.readableBytes == 0 ? Data("{}".utf8) : Data(body.readableBytesView)
    do { return try APICoding.decode(type, from: data) } catch {
      throw .invalid(APICoding.sentence(about: error))
    }
  }
}
