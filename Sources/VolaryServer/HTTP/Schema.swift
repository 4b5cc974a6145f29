package import VolaryAPI

/// A JSON Schema (draft 2020-12), the language of OpenAPI 3.1 for the shape of documents.
package struct Schema: Equatable, Sendable {
  package var json: [String: JSONValue]

  package init(_ json: [String: JSONValue]) { self.json = json }

  package var value: JSONValue { .object(json) }

  package static let any = Schema([:])
  package static let string = Schema(["type": "string"])
  package static let boolean = Schema(["type": "boolean"])
  package static let number = Schema(["type": "number"])
  package static let integer = Schema(["type": "integer"])
  package static let null = Schema(["type": "null"])

  package static func list(of element: Schema) -> Schema {
    Schema(["type": "array", "items": element.value])
  }

  package static func dictionary(of element: Schema) -> Schema {
    Schema(["type": "object", "additionalProperties": element.value])
  }

  package static func oneOf(words: [String]) -> Schema {
    Schema(["type": "string", "enum": .array(words.map { .string($0) })])
  }

  package static func either(_ schemas: [Schema]) -> Schema {
    Schema(["anyOf": .array(schemas.map(\.value))])
  }

  package static func reference(_ name: String) -> Schema {
    Schema(["$ref": .string("#/components/schemas/\(name)")])
  }
}

/// A type whose JSON is not told by its stored properties.
package protocol SchemaProviding {
  static var schema: Schema { get }
}

extension Timestamp: SchemaProviding {
  package static var schema: Schema { Schema(["type": "string", "format": "date-time"]) }
}

extension JSONValue: SchemaProviding {
  package static var schema: Schema { .any }
}
