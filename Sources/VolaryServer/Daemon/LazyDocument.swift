internal import Foundation
internal import Synchronization
internal import VolaryAPI

/// The OpenAPI document, written when somebody first asks for it.
final class LazyDocument: Sendable {
  private let state = Mutex<(table: RouteTable?, bytes: Data?)>((nil, nil))

  /// The routes are known when this one's own is among them.
  func describe(_ table: RouteTable) { state.withLock { $0.table = table } }

  var bytes: Data {
    get throws {
      try state.withLock { state in
        if let bytes = state.bytes { return bytes }
        guard let table = state.table else { return Data() }
        let bytes = try APICoding.encode(OpenAPI.document(table))
        state = (nil, bytes)
        return bytes
      }
    }
  }
}
