import Foundation

/// The command line.
struct FuzzOptions {
  var seconds = 60
  var seed = UInt64.random(in: 0 ... .max)
  var targets: [FuzzTarget] = []
  var singleCase: UInt64?
  var lists = false
  /// The number of the first case, in a process that the supervisor started.
  var worker: UInt64?

  init(_ arguments: ArraySlice<String>) {
    var rest = arguments
    func value<T>(_ parse: (String) -> T?) -> T {
      guard let text = rest.popFirst(), let value = parse(text) else {
        Self.fail("an option lacks its value")
      }
      return value
    }
    while let argument = rest.popFirst() {
      switch argument {
      case "--seconds": seconds = value { Int($0) }
      case "--seed": seed = value { UInt64($0) }
      case "--case": singleCase = value { UInt64($0) }
      case "--worker": worker = value { UInt64($0) }
      case "--list": lists = true
      case "--target":
        targets.append(value { name in FuzzTarget.all.first { $0.name == name } })
      default: Self.fail("unknown option \(argument)")
      }
    }
    if (singleCase != nil || worker != nil) && targets.count != 1 { Self.fail("a case is of one --target") }
    if targets.isEmpty { targets = FuzzTarget.all }
  }

  private static func fail(_ message: String) -> Never {
    FileHandle.standardError.write(Data("volary-fuzz: \(message)\n".utf8))
    exit(2)
  }
}
