import Testing
import VolaryHost

@Suite struct XMLTests {
  static func read(_ text: String) throws -> XMLTree { try XMLTree.read(Array(text.utf8)) }

  @Test func `what descriptors use`() throws {
    let root = try Self.read(
      """
      \u{FEFF}<?xml version="1.0"?>
      <!-- a comment -->
      <o:a xmlns:o="x" o:n='1 &lt; &#50; &#x33;' m = "q">
        <b/> t&amp;t <![CDATA[<&>]]>
        <?pi x?><!-- - --><o:b k="2"><c>é</c></o:b>
      </o:a>
      <!-- end -->
      """)
    #expect(root.name == "a" && root.attributes == ["n": "1 < 2 3", "m": "q"])
    #expect(root.trimmedText.hasPrefix("t&t <&>"))
    #expect(root.all("b").count == 2 && root.all("b")[1].child("c")?.text == "é")
  }

  @Test(arguments: [
    "", "x", "<a>", "<a></b>", "<a/><b/>", "<a><b></a></b>", "<a b/>", "<a b=c/>", "<a b='1' b='2'/>",
    "<a b='1'c='2'/>",
    "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "<a>&x;</a>", "<a>&#0;</a>", "<a>&#xD800;</a>", "<a>&lt</a>",
    "<a b='<'/>", "<a><!-- </a>", "<a>\u{0}</a>", "< a/>", "<1/>", "<a/>x", "<a b='", "<a",
    "<a><![CDATA[</a>", "<a><!x></a>",
  ])
  func `what is no document`(_ text: String) {
    #expect(throws: XMLError.self) { try Self.read(text) }
  }

  @Test func bounds() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "<a>", count: depth) + String(repeating: "</a>", count: depth)
    }
    _ = try Self.read(nested(100))
    #expect(throws: XMLError.self) { try Self.read(nested(101)) }
    #expect(throws: XMLError.self) {
      try Self.read("<a>" + String(repeating: "<b/>", count: 100_000) + "</a>")
    }
    #expect(throws: XMLError(reason: "it is no text in UTF-8", line: 1)) {
      try XMLTree.read([0x3C, 0xFF, 0x2F, 0x3E])
    }
    #expect(throws: XMLError(reason: "</b> ends no element that is open", line: 3)) {
      try Self.read("<a>\n\n</b>")
    }
  }
}
