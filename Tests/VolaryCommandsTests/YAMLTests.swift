import Foundation
import HostPrograms
import HostPrograms
import Testing
import VolaryCommands

/// YAML that people write, beside PyYAML where the host has it.
@Suite struct YAMLTests {
  private static let documents = [
    "a: b", "a:\n  b: c\n  d: e\nf: 1", "a:\n- 1\n- b: c\n  d: e\n-\n  - x\n", "a: []\nb: {}\nc:\nd: ~",
    "a: \"x: y # z\"  # remark\nb: 'it''s'\nc: x # remark\nd: x#y", "\"a b\": true\n'c': false",
    "a: |\n  one\n    two\n\n  three\nb: |-\n  x\n", "---\n# nothing\na: http://b:80/c\n",
    "- - 1\n  - 2\n- 3",
    "a: {\"b\": [1, \"c\"]}", "a: -3\nb: 010\nc: 1.5.2\nd: 5GiB", "a:\n    deep:\n        er: x\n    b: y\n",
    "x",
    "a: \"\\u00e9\\n\"\n", "root:\n  path: /\n  type: disk",
  ]

  @Test(arguments: documents) func readsAsOthersDo(_ text: String) throws {
    let ours = try YAMLReader.json(text)
    // What we write of it, we read as the same.
    let again = try YAMLReader.json(try YAMLText.text(of: ours))
    #expect(again == ours)
    let script =
      "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1]), sort_keys=True, separators=(',', ':'), ensure_ascii=False))"
    let python = try ProgramRun("python3", ["-c", script, text]).finish()
    guard python.code == 0 else { return }
    // 010 is the number 8 to one YAML and the text 010 to another; here it stays what was written.
    let words = python.output.replacing("\"b\":8", with: "\"b\":\"010\"")
    #expect(String(decoding: ours, as: UTF8.self) + "\n" == words)
  }

  @Test(arguments: [
    "a: b\n  c: d", "a: \"b", "a: [1", "a: b\na: c", "a: &x b", "a: >\n  b", "- a\nb: c", "  a: b\nc: d",
    String(repeating: "- ", count: 1000) + "a", "a: 'b' c",
  ])
  func refusesTheRestInWords(_ text: String) {
    let error = #expect(throws: (any Error).self) { try YAMLReader.json(text) }
    #expect("\(String(describing: error))".contains("line "))
  }
}
