import Foundation

extension BootFiles {
  /// The files of an image in the store. Throws `notFound` with the command that makes it.
  package init(image: String, architecture: GuestArchitecture) throws(ImageError) {
    let stored = try ImageStore().find(ImageName(image), architecture)
    self.init(kernel: stored.kernel?.path, initrd: stored.initrd?.path, disk: stored.disk?.path)
  }
}

extension ImageError: VolaryErrorConvertible {
  package var volaryError: VolaryError {
    VolaryError(VolaryError.Code(rawValue: code.rawValue) ?? .failed, message, lastWords: log)
  }
}
