extension DeviceTree {
  /// A named value of a node.
  package struct Property: Equatable, Sendable {
    package let name: String
    package var value: Value
  }

  /// A device, a bus or a group of settings: properties, then children, each in order.
  package struct Node: Equatable, Sendable {
    /// `name` or `name@unit-address`; empty for the root (section 2.2.1).
    package let name: String
    package private(set) var properties: [Property] = []
    package private(set) var children: [Node] = []

    package init(_ name: String) { self.name = name }

    /// A node as a blob holds it; the reader has checked the names.
    init(name: String, properties: [Property], children: [Node]) {
      self.name = name
      self.properties = properties
      self.children = children
    }

    // MARK: - Building

    /// Sets a property, in place of an earlier one of that name.
    package mutating func property(_ name: String, _ value: Value = .empty) {
      precondition(DeviceTreeFormat.isPropertyName(name.utf8), "\(name) cannot name a property")
      if let index = properties.firstIndex(where: { $0.name == name }) {
        properties[index].value = value
      } else {
        properties.append(Property(name: name, value: value))
      }
    }

    /// Lets other nodes refer to this one.
    package mutating func phandle(_ phandle: PHandle) { property("phandle", .phandle(phandle)) }

    /// Adds a child, or goes on with the one of that name.
    package mutating func node<E>(_ name: String, _ build: (inout Node) throws(E) -> Void) throws(E) {
      precondition(DeviceTreeFormat.isNodeName(name.utf8), "\(name) cannot name a node")
      if let index = children.firstIndex(where: { $0.name == name }) {
        try build(&children[index])
      } else {
        var child = Node(name)
        try build(&child)
        children.append(child)
      }
    }

    /// Adds the child of a device whose registers are at `address`: `name@address` in hexadecimal.
    package mutating func node<E>(
      _ name: String, at address: UInt64, _ build: (inout Node) throws(E) -> Void
    ) throws(E) {
      try node("\(name)@\(String(address, radix: 16))", build)
    }

    // MARK: - Looking up

    /// The value of a property, or nil.
    package subscript(name: String) -> Value? { properties.first { $0.name == name }?.value }

    /// The child of exactly that name, or nil.
    package func child(_ name: String) -> Node? { children.first { $0.name == name } }
  }
}
