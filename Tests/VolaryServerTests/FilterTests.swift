import Testing
import VolaryAPI
import VolaryServer

@Suite struct FilterTests {
  private let web: JSONValue = [
    "name": "web", "status": "Running", "status_code": 103, "ephemeral": false,
    "config": ["image.os": "Debian", "limits.cpu": "4"], "exit": ["reason": "a b"],
  ]

  @Test(arguments: [
    "name eq web", "name == web", "status_code gt 100", "status_code le 103", "ephemeral eq false",
    "name ne db",
    "not name eq db", "not not name eq web", "config.image.os eq Debian", "config.limits.cpu ge 4",
    "name eq db or status eq Running", "name eq web and status eq Running", "exit.reason eq 'a b'",
    "status eq running", "not status ne RUNNING", "nothing ne x", #"name eq "web""#,
    "name eq db and name eq db or name eq web",
  ])
  func fits(_ text: String) throws { #expect(try Filter(text).fits(web)) }

  @Test(arguments: [
    "name eq db", "not name eq web", "status_code lt 103", "nothing eq x", "config eq x",
    "name eq web and status eq Stopped", "config.image eq Debian",
  ])
  func doesNotFit(_ text: String) throws { #expect(try !Filter(text).fits(web)) }

  @Test(arguments: [
    "", " ", "name", "name eq", "name is web", "name eq web and", "name eq web name eq db", "name eq 'web",
    "not",
    "name eq web xor name eq db", Array(repeating: "a eq b", count: 100).joined(separator: " and "),
  ])
  func refuses(_ text: String) { #expect(throws: APIError.self) { try Filter(text) } }
}
