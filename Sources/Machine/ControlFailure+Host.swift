internal import MachineControl

extension ControlFailure {
  /// Does something that the host, or its kernel, can refuse.
  static func host<Result, Refusal: Error & CustomStringConvertible>(
    _ phase: String, _ body: () throws(Refusal) -> Result
  ) throws(ControlFailure) -> Result {
    do throws(Refusal) { return try body() } catch {
      throw ControlFailure(.hostRefused, phase: phase, message: error.description)
    }
  }
}
