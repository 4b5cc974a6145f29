extension [UInt8] {
  /// At most `count` bytes that `fill` writes; it returns how many those are.
  init(filling count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(BootError) -> Int) throws(BootError)
  {
    var failure: BootError?
    self.init(unsafeUninitializedCapacity: count) { buffer, filled in
      let target = UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count])
      // The standard library's closure does not say what it throws.
      do throws(BootError) { filled = try fill(target) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}
