import Foundation
import HTTPTypes
import HummingbirdCore
import NIOCore
import Testing
import VolaryAPI
import VolaryServer

/// The dispatcher, without a network: routing, rights, validation.
@Suite struct RouteTests {
  private let folder = TestFolder()

  private struct Answered {
    let status: Int
    let json: JSONValue
  }

  /// Rights by themselves: a route for each.
  private var routes: [Route] {
    Right.allCases.flatMap { right -> [Route] in
      [
        .get("/1.0/\(right.rawValue)", "", right: right) { _ in ["ok"] },
        .change(.post, "/1.0/\(right.rawValue)/{name}", "", right: right, query: [.project]) { call in
          if call["name"].isEmpty { throw APIError.invalid("no name") }
        },
      ]
    } + [
      .get(
        "/1.0/checked", "", right: .view,
        query: [
          QueryParameter("count", .integer(1...9), "", isRequired: true), QueryParameter("flag", .flag, ""),
          QueryParameter("kind", .words(["a", "b"]), ""), QueryParameter("seconds", .number(0...1), ""),
        ]
      ) { call in [call.query["count"] ?? ""] },
      .get("/1.0/echo/{name}", "", right: .anyone) { call in [call["name"]] },
      .get("/1.0/echo/fixed", "", right: .anyone) { _ in ["the fixed one"] },
    ]
  }

  private func ask(
    _ path: String, _ method: HTTPRequest.Method = .get, as identity: Identity?, body: String = ""
  ) async throws -> Answered {
    let dispatcher = Dispatcher(
      table: RouteTable(routes), authenticate: { _, _ in identity },
      store: try Store(directory: folder.path + "/\(UUID())"), logger: silent)
    var head = HTTPRequest(method: method, scheme: "http", authority: "localhost", path: path)
    if !body.isEmpty { head.headerFields[.contentLength] = "\(body.utf8.count)" }
    let request = Request(head: head, body: RequestBody(buffer: ByteBuffer(string: body)))
    let reply = await dispatcher.respond(to: request, from: .unix(user: 0))
    guard case .bytes(let bytes) = reply.body else { return Answered(status: reply.status.code, json: .null) }
    let json = try? APICoding.decode(JSONValue.self, from: Data(bytes.readableBytesView))
    return Answered(status: reply.status.code, json: json ?? .null)
  }

  /// Which roles have which rights, written out once more, by hand.
  private static let granted: [Right: Set<String>] = [
    .anyone: ["", "monitor", "user", "operator", "admin", "limited"],
    .view: ["monitor", "user", "operator", "admin", "limited"],
    .use: ["user", "operator", "admin", "limited"],
    .operate: ["operator", "admin", "limited"], .administer: ["admin"],
  ]

  @Test(arguments: Right.allCases, ["", "monitor", "user", "operator", "admin", "limited"])
  func answersNobodyWithoutTheRight(_ right: Right, _ who: String) async throws {
    var identity = Role(rawValue: who).map { Identity(name: who, role: $0, method: .token(id: "1")) }
    if who == "limited" {
      identity = Identity(name: who, role: .admin, projects: ["mine"], method: .token(id: "1"))
    }
    let mayDo = Self.granted[right]?.contains(who) == true
    let read = try await ask("/1.0/\(right.rawValue)", as: identity)
    #expect(read.status == (mayDo ? 200 : 403))
    if !mayDo { #expect(read.json["metadata"]?["reason"] == "denied") }
    let change = try await ask("/1.0/\(right.rawValue)/x?project=mine", .post, as: identity)
    #expect(change.status == (mayDo ? 200 : 403))
    // Who is limited to projects stays out of the others, and the default project is another.
    for query in ["?project=yours", ""] where who == "limited" {
      let outside = try await ask("/1.0/\(right.rawValue)/x\(query)", .post, as: identity)
      #expect(outside.status == 403)
    }
  }

  private let admin = Identity(name: "root", role: .admin, method: .unix(user: 0))

  @Test(arguments: [
    ("/1.0/checked?count=3", 200), ("/1.0/checked?count=3&flag=true&kind=a&seconds=0.5", 200),
    ("/1.0/checked", 400), ("/1.0/checked?count=0", 400), ("/1.0/checked?count=x", 400),
    ("/1.0/checked?count=3&flag=maybe", 400), ("/1.0/checked?count=3&kind=c", 400),
    ("/1.0/checked?count=3&seconds=2", 400), ("/1.0/checked?count=3&seconds=nan", 400),
    ("/1.0/checked?count=%zz", 400), ("/1.0/nowhere", 404), ("/1.0", 404), ("/", 404), ("x", 400),
    ("/1.0/echo/%", 400), ("/1.0/echo/%ff", 400), ("/1.0/echo/..", 404), ("/1.0/echo/%2e%2e", 404),
    ("/1.0/echo/a%00b", 404), ("/1.0/echo//", 404), ("/1.0/echo/a/b", 404),
    ("/1.0/echo/" + String(repeating: "a", count: 5000), 400),
  ])
  func answersWrongInputWithFourHundreds(_ path: String, _ status: Int) async throws {
    let answered = try await ask(path, as: admin)
    #expect(answered.status == status)
    if status >= 400 {
      #expect(answered.json["type"] == "error")
      #expect(answered.json["error_code"] == .integer(Int64(status)))
      #expect(answered.json["error"]?.string?.isEmpty == false)
    }
  }

  @Test(arguments: [
    ("/1.0/echo/web", "web"), ("/1.0/echo/web/", "web"), ("/1.0/echo/a%20b", "a b"),
    ("/1.0/echo/a%2Fb", "a/b"),
    ("/1.0/echo/fixed", "the fixed one"), ("http://localhost/1.0/echo/web?x=y", "web"),
    ("/1.0/echo/%C3%A9#part", "é"),
  ])
  func findsRoutes(_ path: String, _ name: String) async throws {
    #expect(try await ask(path, as: admin).json["metadata"] == [.string(name)])
  }

  @Test func describesTypesByReadingThem() throws {
    let recorder = SchemaRecorder()
    #expect(recorder.schema(of: InstanceObject.self) == .reference("InstanceObject"))
    let instance = try #require(recorder.components["InstanceObject"]?.value)
    let properties = try #require(instance["properties"]?.object)
    // What is written is what is described.
    var object = InstanceObject(
      name: "a", status: .running, architecture: "x", createdAt: .now, project: "default",
      exit: InstanceExit(reason: "a", message: "b", at: .now))
    object.state = InstanceStateObject(status: .running)
    object.snapshots = []
    let written = try JSONValue(encoding: object).object ?? [:]
    #expect(Set(properties.keys) == Set(written.keys))
    let required = Set((instance["required"]?.array ?? []).compactMap(\.string))
    #expect(Set(properties.keys).subtracting(required) == ["exit", "state", "snapshots"])
    #expect(properties["created_at"]?["format"] == "date-time")
    #expect(properties["type"]?["enum"] == ["virtual-machine", "container"])
    #expect(properties["devices"]?["additionalProperties"]?["additionalProperties"]?["type"] == "string")
    #expect(properties["conditions"]?["items"]?["$ref"] == "#/components/schemas/Condition")
    #expect(properties["ephemeral"]?["type"] == "boolean")
    #expect(recorder.components.keys.contains("InstanceExit"))
  }

  @Test(arguments: [
    ("limits.instances", "3", true), ("limits.memory", "4GiB", true), ("limits.disk", "100 GB", true),
    ("user.anything", "x", true), ("limits.cpu", "two", false), ("limits.cpu", "-1", false),
    ("limits.memory", "4 lots", false), ("limits.disk", "9999999999TiB", false),
    ("limits.coffee", "1", false),
  ])
  func readsLimits(_ key: String, _ value: String, _ isRight: Bool) {
    #expect(((try? ProjectLimits([key: value])) != nil) == isRight)
  }
}
