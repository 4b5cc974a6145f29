import SoftFloat
import Testing

/// Disagreements of a long run: all counted, the first few told.
struct Mismatches {
  private var count = 0
  private var samples: [String] = []

  mutating func note(_ sample: @autoclosure () -> String) {
    count += 1
    if samples.count < 8 { samples.append(sample()) }
  }

  func report(of cases: Int, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
      count == 0, "\(count) of \(cases) cases differ:\n\(samples.joined(separator: "\n"))",
      sourceLocation: sourceLocation)
  }
}
