internal import GRDB
internal import Synchronization

/// Which rows of a table committed transactions have touched since it was last asked.
final class RowChanges: TransactionObserver, Sendable {
  private struct State {
    var pending: Set<Int64> = []
    var committed: Set<Int64> = []
  }

  private let table: String
  private let state = Mutex(State())

  init(table: String) { self.table = table }

  /// The rows that may have changed since the last call, by SQLite's rowid.
  func take() -> Set<Int64> {
    state.withLock { state in
      defer { state.committed = [] }
      return state.committed
    }
  }

  func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { eventKind.tableName == table }

  func databaseDidChange(with event: DatabaseEvent) {
    let row = event.rowID
    state.withLock { _ = $0.pending.insert(row) }
  }

  func databaseDidCommit(_ database: Database) {
    state.withLock { state in
      state.committed.formUnion(state.pending)
      state.pending = []
    }
  }

  func databaseDidRollback(_ database: Database) { state.withLock { $0.pending = [] } }
}
