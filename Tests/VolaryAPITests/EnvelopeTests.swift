import Foundation
import Testing
import VolaryAPI

/// The envelopes, by the shapes that Incus's doc/rest-api.md gives.
@Suite struct EnvelopeTests {
  private func object(_ data: Data) throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  @Test func writesTheThreeKinds() throws {
    let sync = try object(EnvelopeWriter.sync(metadata: Data(#"{"a":[1]}"#.utf8)))
    #expect(
      Set(sync.keys) == ["type", "status", "status_code", "operation", "error_code", "error", "metadata"])
    #expect(sync["type"] as? String == "sync")
    #expect(sync["status"] as? String == "Success")
    #expect(sync["status_code"] as? Int == 200)
    let async = try object(EnvelopeWriter.async(operation: "/1.0/operations/x", metadata: Data("null".utf8)))
    #expect(async["operation"] as? String == "/1.0/operations/x")
    #expect(async["status_code"] as? Int == 100)
    let error = try object(EnvelopeWriter.error(.notFound("there is no \"it\"", wayOut: "make it")))
    #expect(error["error_code"] as? Int == 404)
    #expect(error["error"] as? String == "there is no \"it\"")
  }

  @Test func errorsComeBackAsTheyWent() throws {
    for code in APIError.Code.allCases where code != .unreachable {
      let error = APIError(code, "it went wrong", wayOut: "do it right")
      let read = try APICoding.decode(ErrorEnvelope.self, from: EnvelopeWriter.error(error)).apiError
      #expect(read == error)
    }
    #expect(APIError.Code(status: 418) == .invalid)
    #expect(APIError.Code(status: 599) == .failed)
  }

  @Test func readsAnOperationOfIncus() throws {
    let text = """
      {"id":"a40f5541-5e98-454f-b3b6-8a51ef5dbd3c","class":"websocket","description":"Executing command",
      "created_at":"2015-11-17T22:32:02.226176091-05:00","updated_at":"2015-11-17T22:32:02.226176091-05:00",
      "status":"Running","status_code":103,"resources":{"instances":["/1.0/instances/test"]},
      "metadata":{"fds":{"0":"2a4a97af81529f6608dca31f03a7b7e47acc0b8dc6514496eb25e325f9e4fa6a"}},
      "may_cancel":false,"err":"","location":"none"}
      """
    let operation = try APICoding.decode(OperationObject.self, from: Data(text.utf8))
    #expect(operation.class == .websocket)
    #expect(operation.statusCode == .running)
    #expect(operation.metadata?["fds"]?["0"]?.string?.count == 64)
    #expect(operation.failure == nil)
  }

  @Test func saysWhereADocumentDoesNotFit() throws {
    func sentence<Value: Decodable>(_ type: Value.Type, _ text: String) -> String {
      do {
        _ = try APICoding.decode(type, from: Data(text.utf8))
        return "fits"
      } catch { return APICoding.sentence(about: error) }
    }
    #expect(sentence(ProjectsPost.self, "{") == "the body is not JSON")
    #expect(sentence(ProjectsPost.self, "{}") == "`name` is missing")
    #expect(sentence(ProjectsPost.self, #"{"name":1}"#) == "`name` has to be a string")
    #expect(sentence(ProjectsPost.self, #"{"name":"a","config":{"x":1}}"#) == "`config.x` has to be a string")
    #expect(sentence(ProjectsPost.self, #"{"name":"a","config":[]}"#) == "`config` has to be an object")
    #expect(sentence(ProjectsPost.self, "[]") == "the body has to be an object")
  }

  @Test func keepsAnyJSON() throws {
    let text = #"{"a":[1,-2.5,true,false,null,"\u00e9\n",{}],"b":9007199254740993}"#
    let value = try APICoding.decode(JSONValue.self, from: Data(text.utf8))
    #expect(value["a"]?.array?.count == 7)
    #expect(value["b"]?.integer == 9_007_199_254_740_993)
    #expect(try APICoding.decode(JSONValue.self, from: APICoding.encode(value)) == value)
  }

  @Test(arguments: [("a b/c?d", "a%20b%2Fc%3Fd"), ("é", "%C3%A9"), ("\n~", "%0A~")])
  func escapesWhatGoesIntoPaths(_ text: String, _ escaped: String) {
    #expect(APIEndpoint.escaped(text) == escaped)
    #expect(escaped.removingPercentEncoding == text)
  }

  /// More than Foundation can count to, with nothing behind it.
  @Test(arguments: [1, 128, 129, 511, 512, 513, 514, 100_000])
  func documentsAreOfSomeDepth(depth: Int) throws {
    let open = String(repeating: "[", count: depth)
    #expect(throws: DecodingError.self) { try APICoding.decode(JSONValue.self, from: Data(open.utf8)) }
    let closed = Data((open + String(repeating: "]", count: depth)).utf8)
    #expect(((try? APICoding.decode(JSONValue.self, from: closed)) != nil) == (depth <= 128))
    // Within text they are none.
    let text = try APICoding.decode(JSONValue.self, from: Data(#"["\"\#(open)\\"]"#.utf8))
    #expect(text.array?.first?.string == "\"\(open)\\")
  }
}
