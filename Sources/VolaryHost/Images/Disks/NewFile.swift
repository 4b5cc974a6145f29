import Foundation
import Glibc
package import HostSystem

/// A file that is written under a hidden name beside its own, and has its name when it is complete.
package struct NewFile: Sendable {
  package let path: String
  /// Where it is written.
  package let temporaryPath: String
  package let descriptor: Descriptor
  private let replaces: Bool

  /// Makes the file. Throws `conflict` for a name that is taken, unless it `replaces` a file.
  package init(_ path: String, replaces: Bool) throws(ImageError) {
    let url = URL(fileURLWithPath: path)
    Self.bearFileLimits()
    self.path = path
    self.replaces = replaces
    try Self.check(path, replaces: replaces)
    let number = UInt32.random(in: 0 ... .max)
    temporaryPath =
      url.deletingLastPathComponent().appendingPathComponent(
        ".\(url.lastPathComponent.prefix(100)).\(getpid())-\(String(number, radix: 36)).new"
      ).path
    do {
      descriptor = try Descriptor.open(temporaryPath, O_RDWR | O_CREAT | O_EXCL, mode: 0o666)
    } catch {
      throw ImageError(
        .init(error), "cannot make a file in \(url.deletingLastPathComponent().path): \(error)")
    }
  }

  private static func check(_ path: String, replaces: Bool) throws(ImageError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFREG else {
      throw ImageError(.conflict, "\(path) is there and is no file: take another name")
    }
    guard replaces else {
      throw ImageError(.conflict, "\(path) is there already: take another name, or add --force")
    }
  }

  /// Has a file that becomes too large (`ulimit -f`) be an error of whoever writes it, and not end the program.
  static func bearFileLimits() { Glibc.signal(SIGXFSZ, SIG_IGN) }

  /// Gives the file its name; it has to be on stable storage.
  package func commit() throws(ImageError) {
    if !replaces {
      // Unlike rename(2), this takes no name from a file that has come meanwhile.
      if link(temporaryPath, path) == 0 {
        unlink(temporaryPath)
        return
      }
      try Self.check(path, replaces: false)
    }
    guard rename(temporaryPath, path) == 0 else {
      let error = Errno(errno)
      throw ImageError(.init(error), "cannot give the new file the name \(path): \(error)")
    }
  }

  /// Takes the file away, unless it has its name already.
  package func discard() { unlink(temporaryPath) }

  /// Makes a file by `body`, of which nothing is left when it throws, or when a signal ends the program.
  package static func make<Result>(
    _ path: String, replaces: Bool, _ body: (NewFile) throws -> Result
  ) throws -> Result {
    let file = try NewFile(path, replaces: replaces)
    let temporaryPath = file.temporaryPath
    let stop = Interruption.watch {
      unlink(temporaryPath)
      return true
    }
    defer { stop.cancel() }
    do {
      let result = try body(file)
      try file.commit()
      return result
    } catch {
      Interruption.waitIfEnding()
      file.discard()
      throw error
    }
  }

  /// Why the file cannot be written on.
  package func failure(_ error: Errno) -> ImageError { Self.failure(error, writing: path) }

  package static func failure(_ error: Errno, writing path: String) -> ImageError {
    switch error {
    case .noSpace, Errno(EDQUOT):
      ImageError("the disk of \(path) is full: make room there, or take a place on another disk")
    case Errno(EFBIG):
      ImageError("\(path) cannot be that large: its file system, its format or 'ulimit -f' says so")
    default: ImageError(.init(error), "cannot write \(path): \(error)")
    }
  }
}
