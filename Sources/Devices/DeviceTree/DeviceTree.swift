/// A device tree: what a board tells its guest about hardware that cannot be probed
/// (Devicetree Specification v0.4).
///
/// A plain value, built by code, read from a blob (``init(blob:)``) and written as one (``blob(padding:)``):
///
///     var tree = DeviceTree()
///     tree.node("cpus") {
///       $0.property("#address-cells", .cells([1]))
///       $0.property("#size-cells", .cells([0]))
///       $0.node("cpu@0") { $0.property("reg", .cells([0])) }
///     }
///     let bytes = tree.blob()
package struct DeviceTree: Sendable {
  /// Physical memory that the guest must leave alone (section 5.3).
  package struct Reservation: Equatable, Sendable {
    package var address: UInt64
    package var size: UInt64

    package init(address: UInt64, size: UInt64) {
      self.address = address
      self.size = size
    }
  }

  /// The number by which properties refer to a node (section 2.3.3).
  package struct PHandle: Hashable, Sendable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
  }

  /// The node without a name that holds all others.
  package var root = Node("")
  package var reservations: [Reservation] = []
  /// The physical ID of the CPU that boots (`boot_cpuid_phys`).
  package var bootCPU: UInt32 = 0
  /// The highest phandle given out or read.
  private var lastPHandle: UInt32 = 0

  package init() {}

  init(root: Node, reservations: [Reservation], bootCPU: UInt32, lastPHandle: UInt32) {
    self.root = root
    self.reservations = reservations
    self.bootCPU = bootCPU
    self.lastPHandle = lastPHandle
  }

  /// Reads a flattened device tree from any source; nothing in `bytes` is trusted.
  package init(blob bytes: [UInt8]) throws(DeviceTreeError) {
    self = try DeviceTreeReader.read(bytes)
  }

  /// The flattened form, version 17. `padding` adds room at the end for firmware that edits in place.
  package func blob(padding: Int = 0) -> [UInt8] { DeviceTreeWriter.blob(of: self, padding: padding) }

  // MARK: - Building

  /// Adds a child of the root, or goes on with the one of that name.
  package mutating func node<E>(_ name: String, _ build: (inout Node) throws(E) -> Void) throws(E) {
    try root.node(name, build)
  }

  /// Adds a child `name@address` of the root.
  package mutating func node<E>(
    _ name: String, at address: UInt64, _ build: (inout Node) throws(E) -> Void
  ) throws(E) {
    try root.node(name, at: address, build)
  }

  /// Sets a property of the root.
  package mutating func property(_ name: String, _ value: Value) { root.property(name, value) }

  /// A phandle that no node has yet; a reference may be written before its target.
  package mutating func newPHandle() -> PHandle {
    precondition(lastPHandle < .max - 1, "phandles are used up")
    lastPHandle += 1
    return PHandle(rawValue: lastPHandle)
  }

  // MARK: - Looking up

  /// The node at a full path such as `/soc/serial@10000000`, or nil.
  package func node(at path: String) -> Node? {
    guard path.hasPrefix("/") else { return nil }
    var node = root
    for name in path.split(separator: "/") {
      guard let child = node.child(String(name)) else { return nil }
      node = child
    }
    return node
  }

  /// The node that a phandle refers to, or nil.
  package func node(_ phandle: PHandle) -> Node? {
    var rest = [root]
    while let node = rest.popLast() {
      if node["phandle"] == .phandle(phandle) { return node }
      rest += node.children
    }
    return nil
  }
}

extension DeviceTree: Equatable {
  /// Equal contents; which phandles are spoken for does not count.
  package static func == (left: Self, right: Self) -> Bool {
    left.root == right.root && left.reservations == right.reservations && left.bootCPU == right.bootCPU
  }
}
