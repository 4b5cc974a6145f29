import MachineControl
import Testing
import VolaryHost

@Suite struct OwnDiskTests {
  @Test(arguments: [
    ("a.raw", OwnDisk("a.raw")),
    ("a,b.raw", OwnDisk("a,b.raw")),
    ("a.raw,cache=none", OwnDisk("a.raw", cache: .none)),
    ("a,format=qcow2,cache=unsafe", OwnDisk("a", format: .qcow2, cache: .unsafe)),
    ("a,cache=writethrough,format=raw", OwnDisk("a", cache: .writethrough)),
    ("a,colour=red", OwnDisk("a,colour=red")),
    ("a,colour=red,cache=writeback", OwnDisk("a,colour=red")),
    ("a=b,c", OwnDisk("a=b,c")),
  ])
  func isRead(text: String, disk: OwnDisk) throws { #expect(try OwnDisk(parsing: text) == disk) }

  @Test(arguments: ["a,cache=fast", "a,format=vmdk", "a,cache="])
  func isRefused(text: String) {
    #expect { try OwnDisk(parsing: text) } throws: { ($0 as? VolaryError)?.code == .usage }
  }
}
