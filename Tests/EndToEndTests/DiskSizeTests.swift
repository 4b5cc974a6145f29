import Foundation
import HostPrograms
import HostSystem
import Testing

extension EndToEndTests {
  /// Disks that become larger while their machines run.
  @Suite(.serialized, .runsPrograms) struct DiskSizeTests {
    @Test(.boots) func growsWhileItRuns() throws {
      let house = try TestHouse()
      try house.expect(["config", "set", "core.overcommit_disk=1000"])
      try house.expect(["storage", "volume", "create", "default", "data", "size=1GiB"])
      try house.expect([
        "launch", Bench.imageName, "one", "--arch", "riscv64", "--memory", "128MiB", "-n", "none",
        "-d", "data,type=disk,pool=default,source=data",
      ])
      let sizes = "cat /sys/block/vda/size /sys/block/vdb/size | tr '\\n' ' '"
      _ = try house.type("one", "\(sizes); echo got=$((40+1))", until: "8388608 2097152 got=41")

      try house.expect(["resize", "one", "5GiB"])
      try house.expect(["storage", "volume", "set", "default", "data", "size=3GiB"])
      let write =
        "echo behind | dd of=/dev/vda bs=1M seek=5000 conv=fsync; echo too | dd of=/dev/vdb bs=1M seek=3000 conv=fsync"
      _ = try house.type("one", "\(sizes); \(write); echo got=$((40+2))", until: "10485760 6291456 ")
      #expect((try house.get("/1.0/instances/one")["conditions"] as? [Any])?.isEmpty == true)
      // It is as large for what comes after it.
      let read =
        "\(sizes); dd if=/dev/vda bs=1M skip=5000 count=1 | head -c 6 | tr a-z A-Z; dd if=/dev/vdb bs=1M skip=3000 count=1 | head -c 4 | tr a-z A-Z"
      try house.expect(["snapshot", "create", "one"])
      var seen = try house.type("one", "\(read); echo got=$((40+3))", until: "got=43")
      #expect(seen.contains("BEHIND") && seen.contains("TOO"), "\(seen)")
      try house.expect(["resize", "one", "6GiB"])
      try house.killDaemon()
      try house.expect(["resize", "one", "7GiB"])
      try house.expect(["resize", "one", "4GiB"], code: 2, naming: "cannot become smaller")
      try house.expect(["restart", "one", "--force"])
      seen = try house.type("one", "\(read); echo got=$((40+4))", until: "got=44")
      #expect(
        seen.contains("14680064 6291456") && seen.contains("BEHIND") && seen.contains("TOO"), "\(seen)")
      try house.expect(["delete", "one", "--force"])
      try house.expect(["storage", "volume", "delete", "default", "data"])
    }
  }
}
