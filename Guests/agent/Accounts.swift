/// A user of the guest, as /etc/passwd and /etc/group have it (passwd(5), group(5)).
struct Account {
  var name: [UInt8]
  let user: UInt32
  var group: UInt32
  var groups: [UInt32] = []
  var home = [UInt8]("/")
  var shell = [UInt8]("/bin/sh")

  /// One that is not in the files has no home and no name but its number.
  init(user: UInt32, group: UInt32?) {
    self.user = user
    name = user == 0 ? [UInt8]("root") : [UInt8](decimal: Int(user))
    self.group = group ?? 0
    if user == 0 { home = [UInt8]("/root") }
    guard let lines = try? Kernel.content([UInt8]("/etc/passwd")) else { return }
    for line in lines.split(at: 10) {
      let fields = line.split(at: 58)
      guard fields.count >= 7, !fields[2].isEmpty, fields[2].decimal == Int(user) else { continue }
      name = fields[0]
      self.group = group ?? UInt32(truncatingIfNeeded: fields[3].decimal)
      if !fields[5].isEmpty { home = fields[5] }
      if !fields[6].isEmpty { shell = fields[6] }
      break
    }
    groups = [self.group] + Self.memberships(of: name).filter { $0 != self.group }
  }

  private static func memberships(of name: [UInt8]) -> [UInt32] {
    guard let lines = try? Kernel.content([UInt8]("/etc/group")) else { return [] }
    var found: [UInt32] = []
    for line in lines.split(at: 10) {
      let fields = line.split(at: 58)
      guard fields.count >= 4, found.count < 64 else { continue }
      if fields[3].split(at: 44).contains(name) {
        found.append(UInt32(truncatingIfNeeded: fields[2].decimal))
      }
    }
    return found
  }
}
