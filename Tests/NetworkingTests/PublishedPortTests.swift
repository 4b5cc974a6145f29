import HostSystem
import MachineControl
import Testing

@Suite struct PublishedPortTests {
  @Test(arguments: [
    ("8080:80", "127.0.0.1:8080:80/tcp"), ("0.0.0.0:8080:80", "0.0.0.0:8080:80/tcp"),
    ("53:53/udp", "127.0.0.1:53:53/udp"), ("10.1.2.3:1:65535/tcp", "10.1.2.3:1:65535/tcp"),
    ("tcp:127.0.0.1:8080:80", "127.0.0.1:8080:80/tcp"), ("udp:5353:53", "127.0.0.1:5353:53/udp"),
  ])
  func `forms that are read`(text: String, canonical: String) throws {
    let port = try PublishedPort(parsing: text)
    #expect(port.description == canonical)
    #expect(try PublishedPort(parsing: port.description) == port)
  }

  @Test(arguments: [
    "", "80", ":", "80:", ":80", "0:80", "80:0", "65536:80", "80:80:80:80", "1.2.3:80:80", "80:80/sctp",
    "80:80/", "localhost:80:80", "[::1]:80:80", "-1:80", "+1:80", " 80:80", "80:80 ", "1.2.3.04:80:80",
    "1.2.3.256:80:80", "٣:80", "80:8x",
  ])
  func `forms that are refused`(text: String) {
    let error = #expect(throws: PublishedPort.ParseError.self) { try PublishedPort(parsing: text) }
    #expect(error?.description.contains("8080:80") == true)
  }
}
