/// A number in the guest's memory that differs between a machine and its copies, so that guests stop using
/// random numbers and connections of their past (Microsoft's "Virtual Machine Generation ID" of 2012; Linux'
/// `vmgenid` driver).
package struct VMGenerationID: Equatable, Sendable {
  /// Bytes of the number.
  package static let size = 16
  /// Where it is. Nothing else is in its page.
  package let address: UInt64

  /// Where a kept machine had it; nil where it cannot be.
  package init?(placedAt address: UInt64) {
    guard address % 4096 == 0 else { return nil }
    self.address = address
  }

  init(address: UInt64) {
    precondition(address % 4096 == 0, "the generation ID has a page of its own")
    self.address = address
  }

  /// Adds the object that leads drivers to the number, and that is notified when it changed.
  func describe(in systemBus: inout AML.Block) {
    systemBus.device("VGEN") {
      $0.name("_HID", "VLRY0001")
      // The second name is the first, as short as some drivers want it.
      $0.name("_CID", .package(["VM_Gen_Counter", "VMGENCTR"]))
      $0.name("_DDN", "VM_Gen_Counter")
      $0.name("ADDR", .package([.integer(address & 0xFFFF_FFFF), .integer(address >> 32)]))
    }
  }
}
