internal import Foundation
internal import MachineControl
internal import VolaryAPI

/// The OpenAPI 3.1 document, written from the same declarations that route and validate.
enum OpenAPI {
  static func document(_ table: RouteTable) -> JSONValue {
    let recorder = SchemaRecorder()
    var paths: [String: [String: JSONValue]] = [:]
    for route in table.routes {
      paths[route.path, default: parameters(of: route)][route.method.rawValue.lowercased()] =
        .object(operation(route, recorder))
    }
    let error = recorder.schema(of: ErrorEnvelope.self)
    return [
      "openapi": "3.1.0",
      "info": [
        "title": "Volary", "version": .string(volaryVersion),
        "summary": "Virtual machines on any Linux host",
        "license": ["name": "Apache-2.0", "identifier": "Apache-2.0"],
      ],
      "servers": [["url": "/"]],
      "paths": .object(paths.mapValues { .object($0) }),
      "components": [
        "schemas": .object(recorder.components.mapValues(\.value)),
        "responses": [
          "Error": [
            "description": "Why there is no other answer", "content": content("application/json", error),
          ]
        ],
      ],
    ]
  }

  private static func operation(_ route: Route, _ recorder: SchemaRecorder) -> [String: JSONValue] {
    var operation: [String: JSONValue] = [
      "operationId": .string(identifier(route)), "summary": .string(route.summary),
      "tags": [.string(tag(route))], "x-volary-right": .string(route.right.rawValue),
      "responses": .object(responses(route, recorder)),
    ]
    if route.webSocket != nil { operation["x-volary-websocket"] = true }
    if !route.query.isEmpty {
      operation["parameters"] = .array(
        route.query.map { parameter in
          [
            "name": .string(parameter.name), "in": "query", "description": .string(parameter.summary),
            "required": .bool(parameter.isRequired), "schema": parameter.schema.value,
          ]
        })
    }
    if let request = route.request {
      operation["requestBody"] = [
        "required": true, "content": content("application/json", recorder.schema(of: request)),
      ]
    }
    return operation
  }

  /// What the braces of a path stand for, once for all its methods.
  private static func parameters(of route: Route) -> [String: JSONValue] {
    let names = route.parameterNames
    if names.isEmpty { return [:] }
    return [
      "parameters": .array(
        names.map { name in
          [
            "name": .string(name), "in": "path", "required": true,
            "schema": ["type": "string", "minLength": 1],
          ]
        })
    ]
  }

  private static func responses(_ route: Route, _ recorder: SchemaRecorder) -> [String: JSONValue] {
    var responses: [String: JSONValue] = ["default": ["$ref": "#/components/responses/Error"]]
    switch route.answer {
    case .object(let type):
      responses["200"] = sync("The object", recorder.schema(of: type))
      responses["304"] = ["description": "The client has it already"]
    case .list(let type):
      let objects = Schema.list(of: recorder.schema(of: type))
      responses["200"] = sync("Paths or objects", .either([.list(of: .string), objects]))
      responses["304"] = ["description": "The client has it already"]
    case .groups(let type):
      let objects = Schema.list(of: recorder.schema(of: type))
      let groups = [Schema.list(of: .string), objects].map { Schema.dictionary(of: $0) }
      responses["200"] = sync("Paths or objects, in groups", .either(groups))
      responses["304"] = ["description": "The client has it already"]
    case .nothing: responses["200"] = sync("Done", Schema(["type": "object"]))
    case .made: responses["201"] = sync("Made; Location says where it is", Schema(["type": "object"]))
    case .operation:
      responses["202"] = [
        "description": "Begun; Location says where the operation is",
        "content": content(
          "application/json", envelope(.async, recorder.schema(of: OperationObject.self))),
      ]
    case .bytes(let type): responses["200"] = ["description": "The content", "content": content(type, .any)]
    }
    if route.webSocket != nil { responses["101"] = ["description": "The websocket is open"] }
    return responses
  }

  private static func sync(_ description: String, _ metadata: Schema) -> JSONValue {
    [
      "description": .string(description),
      "content": content("application/json", envelope(.sync, metadata)),
    ]
  }

  private static func envelope(_ type: EnvelopeType, _ metadata: Schema) -> Schema {
    Schema([
      "type": "object",
      "properties": [
        "type": ["const": .string(type.rawValue)], "status": ["type": "string"],
        "status_code": ["type": "integer"], "operation": ["type": "string"],
        "error_code": ["type": "integer"], "error": ["type": "string"], "metadata": metadata.value,
      ],
      "required": ["type", "status", "status_code", "operation", "error_code", "error", "metadata"],
    ])
  }

  private static func content(_ type: String, _ schema: Schema) -> JSONValue {
    .object([type: ["schema": schema.value]])
  }

  /// `GET /1.0/projects/{name}` becomes `getProjectsName`.
  private static func identifier(_ route: Route) -> String {
    let words = route.path.split { !$0.isLetter && !$0.isNumber }.filter { $0 != "1" && $0 != "0" }
    let name = words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
    return route.method.rawValue.lowercased()
      + (name.isEmpty ? (route.path == "/" ? "Versions" : "Server") : name)
  }

  private static func tag(_ route: Route) -> String {
    let segments = route.path.split(separator: "/")
    return segments.count > 1 ? String(segments[1]) : "server"
  }
}
