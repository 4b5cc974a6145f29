package import ArgumentParser
import Foundation
import MachineControl
internal import VolaryHost

/// `volary`: the verbs.
package struct VolaryCommand: ParsableCommand {
  package static let configuration = CommandConfiguration(
    commandName: "volary",
    abstract: "Virtual machines on any Linux host, with KVM or without.",
    discussion: """
      A clean machine in this terminal:  volary run debian/13
      One command in a machine:          volary run debian/13 -- uname -a
      A machine that stays:              volary launch debian/13 web
      """,
    version: "volary \(volaryVersion)",
    subcommands: [
      LaunchCommand.self, ListCommand.self, TopCommand.self, InfoCommand.self, ShellCommand.self,
      ExecCommand.self, ConsoleCommand.self, FileCommand.self, StartCommand.self,
      StopCommand.self, RestartCommand.self, PauseCommand.self, ResumeCommand.self, ResizeCommand.self,
      RenameCommand.self,
      SnapshotCommand.self, CopyCommand.self, ForkCommand.self, ConfigCommand.self, DeleteCommand.self,
      ExportCommand.self, ImportCommand.self, BackupCommand.self,
      RunCommand.self,
      ImageCommand.self, ProjectCommand.self,
      ProfileCommand.self, NetworkCommand.self, StorageCommand.self,
      OperationCommand.self, TokenCommand.self, PageCommand.self, MonitorCommand.self,
      QueryCommand.self, DoctorCommand.self, VersionCommand.self,
    ])

  package init() {}
}

extension VolaryCommand {
  /// Runs the command line of this process and ends it. Usage errors end with 2, failures with the
  /// code of their ``VolaryError``, `volary run` with the guest's.
  package static func runProcess() -> Never {
    // A reader that goes away is an error of write(2), told in words or by the exit code.
    signal(SIGPIPE, SIG_IGN)
    // So is a file that grows beyond its limit.
    signal(SIGXFSZ, SIG_IGN)
    occupyStandardDescriptors()
    MachineRunners.use(ControlledMachineRunner())
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      Glibc.exit(report(error))
    }
    Glibc.exit(0)
  }

  /// A program can be started without standard streams; nothing else may come into their places.
  private static func occupyStandardDescriptors() {
    for fd: Int32 in 0...2 where fcntl(fd, F_GETFD) < 0 { _ = open("/dev/null", O_RDWR) }
  }

  /// Says what went wrong, and returns the exit code.
  private static func report(_ error: any Error) -> Int32 {
    switch error {
    case let code as ExitCode: return code.rawValue
    case let failure as VolaryError:
      standardError(failure.report)
      return failure.code.rawValue
    case let failure as any VolaryErrorConvertible:
      standardError(failure.volaryError.report)
      return failure.volaryError.code.rawValue
    default: break
    }
    if exitCode(for: error) == .success {
      // Help and versions come as errors too.
      print(fullMessage(for: error))
      return 0
    }
    if exitCode(for: error) == .validationFailure {
      let lines = fullMessage(for: error).split(separator: "\n", omittingEmptySubsequences: false)
      let text = lines.map {
        $0.hasPrefix("Error: ") ? "volary: " + $0.dropFirst("Error: ".count) : String($0)
      }
      standardError(text.joined(separator: "\n"))
      return VolaryError.Code.usage.rawValue
    }
    standardError("volary: \(error)")
    return VolaryError.Code.failed.rawValue
  }

  private static func standardError(_ text: String) {
    FileHandle.standardError.write(Data((text + "\n").utf8))
  }
}
