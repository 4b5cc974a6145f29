internal import HostSystem

extension QCOW2Image {
  /// What an image needs before it is written for the first time.
  func prepareForWriting() throws(Errno) {
    if header.incompatible & QCOW2Header.Features.dirty != 0 {
      _ = try alone { () throws(Errno) in try repairAlone() }
    }
    // What other programs keep in step with the contents is out of step from now on.
    var new = header
    new.autoclear &= hasBitmaps ? QCOW2Header.Features.bitmaps : 0
    if new.autoclear != header.autoclear { try storeHeader(new) }
  }
}
