internal import HostSystem

extension QCOW2Image {
  var hasBitmaps: Bool { false }
  func noteChange(_ range: Range<UInt64>) throws(Errno) {}
  func countBitmaps(_ census: QCOW2Census) throws(Errno) {}
  func resizeBitmaps() throws(Errno) {}
}
