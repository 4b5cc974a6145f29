import DiskImages
import Testing

/// Names of disks that servers have.
@Suite struct NBDLocationTests {
  @Test(arguments: [
    ("nbd://host", "host", 10809, ""),
    ("nbd://host/", "host", 10809, ""),
    ("nbd://host:/disk", "host", 10809, "disk"),
    ("NBD://host:1234/a/b", "host", 1234, "a/b"),
    ("nbd://[::1]/x", "::1", 10809, "x"),
    ("nbd://[fe80::1%25eth0]:99/", "fe80::1%eth0", 99, ""),
    ("nbd://192.0.2.1:65535/%2Fdev%2fsda", "192.0.2.1", 65535, "/dev/sda"),
    ("nbds://host/a%20b", "host", 10809, "a b"),
  ])
  func `servers`(text: String, host: String, port: Int, export: String) throws {
    let location = try NBDLocation(text)
    #expect(location.server == .host(host, port: UInt16(port)))
    #expect(location.export == export && location.description == text)
    #expect((location.tls != nil) == text.hasPrefix("nbds"))
  }

  @Test func `sockets and certificates`() throws {
    let unix = try NBDLocation("nbd+unix:///a%3Fb?socket=/run/my%20socket")
    #expect(unix.server == .socket("/run/my socket") && unix.export == "a?b" && unix.tls == nil)
    let tls = try NBDLocation("nbds://host/x?tls-certificates=/etc/pki/nbd")
    #expect(tls.tls?.certificates == "/etc/pki/nbd")
    #expect(try NBDLocation("nbds://host").tls?.certificates == nil)
  }

  @Test(arguments: [
    ("disk.raw", "names no server"), ("http://host/x", "'http' is not known"),
    ("nbd://", "name is missing"), ("nbd://:99/x", "name is missing"), ("nbd://host:0/x", "'0' is no port"),
    ("nbd://host:70000/x", "'70000' is no port"), ("nbd://host:+1/x", "no port"),
    ("nbd://a:b:c/x", "in brackets"), ("nbd://[::1/x", "lacks its ']'"), ("nbd://[::1]9/x", "behind ']'"),
    ("nbd://me@host/x", "users are not known"), ("nbd://host/%", "hexadecimal"),
    ("nbd://host/%ff", "not UTF-8"), ("nbd://host/a%00b", "no zero"), ("nbd://host/a#b", "%23"),
    ("nbd+unix:///x", "socket's path is missing"), ("nbd+unix://host/x?socket=/a", "has no host"),
    ("nbd+unix:///x?socket=/a&tls-certificates=/b", "TLS is for hosts"), ("nbd://h/x?socket=/a", "alone"),
    ("nbd://h/x?tls-certificates=/a", "write nbds://"), ("nbds://h/x?tls-psk-file=/a", "is not known here"),
    ("nbd+unix:///x?socket=/a&socket=/b", "twice"), ("nbds+unix:///x?socket=/a", "'nbds+unix' is not known"),
    ("nbd://h/" + String(repeating: "x", count: 5000), "at most 4096"),
  ])
  func `what is wrong is said in a line`(text: String, words: String) {
    #expect {
      try NBDLocation(text)
    } throws: { error in
      "\(error)".contains(words) && !"\(error)".contains("\n") && "\(error)".hasPrefix("cannot use \(text)")
    }
  }

  @Test func `what is meant`() {
    for text in ["nbd://x", "NBDS://x", "nbd+unix:///", "nbd+ssh://x"] {
      #expect(NBDLocation.isMeant(by: text))
    }
    for text in ["disk", "nbd:x", "/nbd/disk", "http://nbd://", ""] {
      #expect(!NBDLocation.isMeant(by: text))
    }
  }
}
