import Foundation
import HostPrograms
import Testing
import VolaryHost

/// What goes onto the disk for cloud-init; that cloud-init does what it says is shown by Tests/Clients/cloud-init.
struct CloudInitTests {
  private static let blob = Data((0..<51).map { UInt8($0) }).base64EncodedString()

  @Test(arguments: [
    ("root:ssh-ed25519 \(blob)", true), ("root:ssh-ed25519 \(blob) me@home it's mine", true),
    ("www-data:ecdsa-sha2-nistp256 \(blob)", true), ("_u1:sk-ssh-ed25519@openssh.com \(blob) a: b", true),
    ("root: ssh-rsa \(blob)\n", true), ("ssh-ed25519 \(blob)", false), (":ssh-ed25519 \(blob)", false),
    ("Root:ssh-ed25519 \(blob)", false), ("a/b:ssh-ed25519 \(blob)", false), ("root:ssh-ed25519", false),
    ("root:ssh-ed25519 no*base64", false), ("root:ssh-ed25519 \(blob)\nroot:x", false),
    ("root:gh:somebody", false),
    ("root:command=\"x\" ssh-ed25519 \(blob)", false), ("", false), ("root:", false),
  ])
  func keysAreLinesOfAuthorizedKeys(text: String, isOne: Bool) {
    #expect((CloudInit.Key(text) != nil) == isOne)
  }

  @Test func whatIsGivenAloneStaysAsItIs() {
    var settings = CloudInit()
    #expect(settings.userDataWithKeys == "#cloud-config\n{}\n")
    settings.userData = "#!/bin/sh\necho\n"
    #expect(settings.userDataWithKeys == "#!/bin/sh\necho\n")
  }

  /// Read by Python's parser of mail, which is cloud-init's own.
  @Test(arguments: [
    "#!/bin/sh\necho ok\n", "#cloud-config\nusers:\n- name: web\n",
    "Content-Type: multipart/mixed; boundary=\"b\"\nMIME-Version: 1.0\n\n--b\nContent-Type: text/x-shellscript\n\n#!/bin/sh\n--b--\n",
  ])
  func keysAreAPartOfTheirOwn(userData: String) throws {
    var settings = CloudInit()
    settings.userData = userData
    settings.keys = try [
      "root:ssh-ed25519 \(Self.blob) it's", "web:ssh-rsa \(Self.blob)", "root:ssh-rsa \(Self.blob)",
    ]
    .map { try #require(CloudInit.Key($0)) }
    let script = """
      import email, sys
      for part in email.message_from_bytes(sys.stdin.buffer.read()).walk():
        if part.is_multipart(): continue
        print(part.get_content_type(), part.get("Merge-Type"))
        print(part.get_payload(), end="|\\n")
      """
    let parts = String(
      decoding: try run("python3", ["-c", script], input: Data(settings.userDataWithKeys.utf8)), as: UTF8.self
    )
    let isArchive = userData.hasPrefix("Content-Type")
    let first = isArchive ? "text/x-shellscript None\n#!/bin/sh|\n" : "text/plain None\n\(userData)|\n"
    let usual = userData.contains("users:") ? "" : "- default\n"
    #expect(
      parts == first + """
        text/cloud-config list(append)+dict(no_replace,recurse_list)+str()
        #cloud-config
        users:
        \(usual)- name: root
          ssh_authorized_keys:
          - 'ssh-ed25519 \(Self.blob) it''s'
          - 'ssh-rsa \(Self.blob)'
        - name: web
          ssh_authorized_keys:
          - 'ssh-rsa \(Self.blob)'
        |

        """)
  }
}
