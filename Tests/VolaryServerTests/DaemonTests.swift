import Foundation
import Glibc
import HostPrograms
import Testing
import VolaryAPI

/// A real daemon, asked by curl(1).
@Suite struct DaemonTests {
  @Test func answersInIncussEnvelopes() async throws {
    let daemon = try await TestDaemon()
    let server = try daemon.curl("/1.0")
    #expect(server.status == 200)
    #expect(server.headers["content-type"] == "application/json")
    #expect(server.json["type"] == "sync" && server.json["status"] == "Success")
    let metadata = try #require(server.json["metadata"])
    for key in [
      "api_extensions", "api_status", "api_version", "auth", "auth_methods", "environment", "config",
    ] {
      #expect(metadata[key] != nil, "\(key)")
    }
    #expect(metadata["environment"]?["server_pid"]?.integer == Int64(daemon.pid))
    let missing = try daemon.curl("/1.0/nothing")
    #expect(missing.status == 404)
    #expect(missing.json["type"] == "error" && missing.json["error_code"] == 404)
    let begun = try daemon.curl("/1.0/test/operations", "POST", body: #"{"steps":2}"#)
    #expect(begun.status == 202)
    let path = try #require(begun.headers["location"])
    #expect(begun.json["type"] == "async" && begun.json["operation"] == .string(path))
    #expect(begun.json["status_code"] == 100)
    let ended = try daemon.curl(path + "/wait?timeout=-1")
    #expect(ended.json["metadata"]?["status_code"] == 200)
    #expect(ended.json["metadata"]?["metadata"]?["steps"] == 2)
    #expect(try daemon.curl("/1.0/operations").json["metadata"] == ["success": [.string(path)]])
    let all = try daemon.curl("/1.0/operations?recursion=1&filter=status_code%20eq%20200")
    #expect(all.json["metadata"]?["success"]?.array?.count == 1)
    #expect(try daemon.curl("/1.0/operations?filter=status%20eq%20Running").json["metadata"] == [:])
  }

  @Test func knowsMethods() async throws {
    let daemon = try await TestDaemon()
    let get = try daemon.curl("/1.0/projects/default")
    let head = try daemon.curl("/1.0/projects/default", "HEAD")
    #expect(head.status == 200 && head.body.isEmpty)
    #expect(head.headers["content-length"] == "\(get.body.count)")
    #expect(head.headers["etag"] == get.headers["etag"])
    let options = try daemon.curl("/1.0/projects", "OPTIONS")
    #expect(options.status == 204 && options.headers["allow"] == "GET, HEAD, OPTIONS, POST")
    let other = try daemon.curl("/1.0/projects", "DELETE")
    #expect(other.status == 405 && other.headers["allow"] == "GET, HEAD, OPTIONS, POST")
    #expect(other.json["error_code"] == 405)
    #expect(try daemon.curl("/healthz").text == "ok\n")
    #expect(try daemon.curl("/").json["metadata"] == ["/1.0"])
  }

  @Test func keepsProjects() async throws {
    let daemon = try await TestDaemon()
    let limits = #"{"name":"web","description":"d","config":{"limits.memory":"4GiB"}}"#
    let made = try daemon.curl("/1.0/projects", "POST", body: limits)
    #expect(made.status == 201 && made.headers["location"] == "/1.0/projects/web")
    #expect(try daemon.curl("/1.0/projects", "POST", body: limits).status == 409)
    #expect(try daemon.curl("/1.0/projects", "POST", body: #"{"name":"a/b"}"#).status == 400)
    #expect(try daemon.curl("/1.0/projects", "POST", body: #"{"name":"x","config":{"a":"b"}}"#).status == 400)
    let first = try #require(try daemon.curl("/1.0/projects/web").headers["etag"])
    let patch = #"{"config":{"limits.cpu":"2"}}"#
    #expect(
      try daemon.curl("/1.0/projects/web", "PATCH", headers: ["If-Match": first], body: patch).status == 200)
    // Somebody who has not seen that change.
    let late = try daemon.curl("/1.0/projects/web", "PUT", headers: ["If-Match": first], body: "{}")
    #expect(late.status == 412 && late.json["error_code"] == 412)
    let now = try daemon.curl("/1.0/projects/web", headers: ["If-None-Match": first])
    #expect(now.json["metadata"]?["config"] == ["limits.cpu": "2", "limits.memory": "4GiB"])
    let tag = try #require(now.headers["etag"])
    #expect(try daemon.curl("/1.0/projects/web", headers: ["If-None-Match": tag]).status == 304)
    let list = try daemon.curl("/1.0/projects?recursion=1&filter=name%20eq%20web")
    #expect(list.json["metadata"]?.array?.map { $0["name"] } == ["web"])
    let instance = #"{"name":"a","project":"web"}"#
    #expect(try daemon.curl("/1.0/test/instances", "POST", body: instance).status == 201)
    #expect(try daemon.curl("/1.0/projects/web", "DELETE").status == 409)
    #expect(try daemon.curl("/1.0/projects/default", "DELETE").status == 409)
    #expect(try daemon.curl("/1.0/projects", "POST", body: #"{"name":"gone"}"#).status == 201)
    #expect(try daemon.curl("/1.0/projects/gone", "DELETE").status == 200)
    #expect(try daemon.curl("/1.0/projects/gone").status == 404)
    // Changes are written down, by SQLite's own tool.
    let audit = try ProgramRun(
      "sqlite3", [daemon.folder.database, "SELECT method, path, who, status FROM audit"]
    ).finish()
    let rows = audit.output.split(separator: "\n")
    #expect(rows.contains("DELETE|/1.0/projects/gone|uid:\(getuid())|200"))
    #expect(rows.count == 5)
  }

  @Test func doesOnceWhatIsNamedOnce() async throws {
    let daemon = try await TestDaemon()
    func post(_ key: String, _ body: String) throws -> TestDaemon.Answer {
      try daemon.curl("/1.0/test/operations", "POST", headers: ["Idempotency-Key": key], body: body)
    }
    let first = try post("one", #"{"steps":1}"#)
    #expect(first.status == 202)
    let again = try post("one", #"{"steps":1}"#)
    #expect(again.status == 202 && again.headers["location"] == first.headers["location"])
    let other = try post("one", #"{"steps":2}"#)
    #expect(other.status == 422)
    #expect(try post("two", #"{"steps":1}"#).headers["location"] != first.headers["location"])
    #expect(try post(String(repeating: "k", count: 300), "{}").status == 400)
    // What failed may be tried again.
    #expect(try post("three", "{").status == 400)
    #expect(try post("three", "{}").status == 202)
    daemon.killNow()
    try await daemon.restart()
    #expect(try post("one", #"{"steps":1}"#).headers["location"] == first.headers["location"])
  }

  @Test func cancelsOperations() async throws {
    let daemon = try await TestDaemon()
    let slow = #"{"steps":1000,"milliseconds":1000}"#
    let path = try #require(try daemon.curl("/1.0/test/operations", "POST", body: slow).headers["location"])
    let running = try daemon.curl(path + "/wait?timeout=0.1")
    #expect(running.json["metadata"]?["status"] == "Running")
    #expect(
      try await eventually {
        try daemon.curl(path).json["metadata"]?["metadata"]?["progress"]?["total"] == 1000
      })
    #expect(try daemon.curl(path, "DELETE").status == 200)
    #expect(try daemon.curl(path + "/wait").json["metadata"]?["status_code"] == 401)
    #expect(try daemon.curl(path, "DELETE").status == 409)
    #expect(try daemon.curl("/1.0/operations/none", "DELETE").status == 404)
  }

  @Test func takesBodiesOfOneMebibyte() async throws {
    let daemon = try await TestDaemon()
    func post(_ bytes: Int, chunked: Bool) throws -> Int {
      let body = #"{"name":"x","description":""# + String(repeating: "a", count: bytes - 29) + "\"}"
      let headers = chunked ? ["Transfer-Encoding": "chunked"] : [:]
      return try daemon.curl("/1.0/projects", "POST", headers: headers, body: body).status
    }
    #expect(try post((1 << 20) + 1, chunked: false) == 413)
    #expect(try post((1 << 20) + 1, chunked: true) == 413)
    #expect(try post(1 << 20, chunked: false) == 201)
    let headers = Dictionary(
      uniqueKeysWithValues: (0..<5).map { ("X-\($0)", String(repeating: "a", count: 20_000)) })
    #expect(try daemon.curl("/1.0", headers: headers).status == 400)
  }

  @Test func servesADocumentThatIsOpenAPI() async throws {
    let daemon = try await TestDaemon()
    let document = try daemon.curl("/1.0/openapi.json")
    #expect(document.json["openapi"] == "3.1.0")
    let operation = document.json["paths"]?["/1.0/test/operations"]?["post"]
    #expect(operation?["requestBody"]?["content"]?["application/json"]?["schema"]?["$ref"] != nil)
    #expect(operation?["responses"]?["202"] != nil)
    guard hasProgram("python3"),
      try ProgramRun("python3", ["-c", "import openapi_spec_validator"]).finish().code == 0
    else { return }
    let file = daemon.folder.path + "/openapi.json"
    try document.body.write(to: URL(filePath: file))
    let check = try ProgramRun("python3", ["-m", "openapi_spec_validator", file]).finish()
    #expect(check.code == 0, "\(check.output) \(check.errors)")
  }

  @Test(.enabled(if: getuid() == 0))
  func refusesOtherUsers() async throws {
    let daemon = try await TestDaemon()
    let file = try FileManager.default.attributesOfItem(atPath: daemon.socket)
    #expect(file[.posixPermissions] as? Int == 0o600)
    // Even where the socket's mode would let them.
    chmod(daemon.folder.path, 0o755)
    chmod(daemon.socket, 0o666)
    func status(_ path: String) throws -> String {
      let asNobody = ["--reuid", "65534", "--clear-groups", "curl", "-sS", "--unix-socket", daemon.socket]
      return try ProgramRun(
        "setpriv", asNobody + ["-w", "%{http_code}", "-o", "/dev/null", "http://localhost" + path]
      ).finish().output
    }
    #expect(try status("/1.0/projects") == "403")
    #expect(try status("/1.0/operations/x/wait") == "403")
    #expect(try status("/1.0/events") == "403")
    #expect(try status("/healthz") == "200")
  }
}
