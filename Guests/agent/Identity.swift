import System

/// By what a guest is known: its random numbers, its name, its identity on disk, its network card's address.
enum Identity {
  /// RNDADDENTROPY and RNDRESEEDCRNG (random(4)).
  private static let addEntropy = 0x4008_5203
  private static let reseed = 0x5207

  /// Has the guest be another from now on. Random numbers come first, since what follows may draw some; the name, which
  /// shows, last.
  static func become(_ request: IdentityRequest) throws(Failure) {
    try mix(request.seed)
    try renewMachineID(request.seed)
    if request.oldAddress != request.newAddress {
      try RouteSocket(groups: 0).setAddress(request.newAddress, where: request.oldAddress)
    }
    if !request.hostName.isEmpty {
      let result = request.hostName.withUnsafeBytes {
        agent_call(AGENT_SYS_sethostname, Int(bitPattern: $0.baseAddress), $0.count, 0, 0, 0, 0)
      }
      if result < 0 { throw Failure(code: -result) }
      try replace([UInt8]("/etc/hostname"), request.hostName + [10])
    }
  }

  /// Mixes bytes that count as random into the kernel's random numbers, which are made anew from them.
  private static func mix(_ seed: [UInt8]) throws(Failure) {
    guard !seed.isEmpty else { return }
    var order = AgentWriter()
    // struct rand_pool_info: bits, bytes, and the bytes.
    order.integer(UInt32(truncatingIfNeeded: seed.count * 8))
    order.integer(UInt32(truncatingIfNeeded: seed.count))
    let bytes = order.bytes + seed
    let device = try Kernel.open([UInt8]("/dev/urandom"), 0)
    defer { Kernel.close(device) }
    let result = bytes.withUnsafeBytes {
      agent_call(AGENT_SYS_ioctl, device, addEntropy, Int(bitPattern: $0.baseAddress), 0, 0, 0)
    }
    if result < 0 { throw Failure(code: -result) }
    try Kernel.call(AGENT_SYS_ioctl, device, reseed)
  }

  /// Gives the system another identity (machine-id(5)), where it has one.
  private static func renewMachineID(_ seed: [UInt8]) throws(Failure) {
    let path = [UInt8]("/etc/machine-id")
    guard let old = try? Kernel.content(path), old.count >= 32, seed.count >= 16 else { return }
    let digits = [UInt8]("0123456789abcdef")
    var identity: [UInt8] = []
    for byte in seed.suffix(16) { identity += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
    try replace(path, identity + [10])
  }

  /// Writes a file's content anew, if it can be written.
  private static func replace(_ path: [UInt8], _ content: [UInt8]) throws(Failure) {
    // O_WRONLY, O_CREAT, O_TRUNC.
    guard let file = try? Kernel.open(path, 0o1 | 0o100 | 0o1000, mode: 0o644) else { return }
    defer { Kernel.close(file) }
    try Kernel.writeAll(file, content)
  }
}
