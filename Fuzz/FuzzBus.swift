/// How a driver under test reaches what is not in RAM: addresses and widths in bytes, then values.
struct FuzzBus {
  let read: (UInt64, Int) -> UInt64
  let write: (UInt64, Int, UInt64) -> Void
  let readPort: (UInt16, Int) -> UInt32
  let writePort: (UInt16, Int, UInt32) -> Void
}
