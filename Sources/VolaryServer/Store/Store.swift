package import Foundation
package import GRDB
internal import Synchronization
internal import VolaryAPI

/// What the daemon knows and has to know again after its death: one SQLite database, written by this daemon
/// alone. What a write has returned for is on the disk.
package final class Store: Sendable {
  package let directory: String
  private let lock: DirectoryLock
  private let pool: DatabasePool
  private let reserve: DiskReserve
  /// For the writing connection alone. GRDB hands SQLite the null pointer of one that is closed, and SQLite reads there.
  private let isClosed = Atomic(false)

  /// Opens the store in a directory, which is made when it is not there, and brings its tables up to date.
  package init(directory: String) throws(StoreError) {
    do {
      try FileManager.default.createDirectory(
        atPath: directory, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    } catch { throw .unusable(path: directory, problem: Self.words(error)) }
    self.directory = directory
    lock = try DirectoryLock(directory: directory)
    reserve = DiskReserve(directory: directory)
    let path = directory + "/volary.db"
    let backups = StoreBackups(directory: directory)
    do {
      pool = try DatabasePool(path: path, configuration: Self.configuration)
      try Self.check(pool, path: path)
      try Self.migrate(pool, backups)
    } catch let error as StoreError {
      throw error
    } catch let error as DatabaseError where Self.damage.contains(error.resultCode) {
      throw .damaged(path: path, backup: backups.newest, problem: error.message ?? "\(error.resultCode)")
    } catch { throw .unusable(path: path, problem: Self.words(error)) }
  }

  package func read<Value: Sendable>(
    _ body: @Sendable @escaping (Database) throws -> Value
  ) async throws -> Value {
    try await pool.read(body)
  }

  /// As ``read(_:)``, at once: for little that has to be read with nothing in between.
  func readNow<Value>(_ body: (Database) throws -> Value) throws -> Value { try pool.read(body) }

  /// Notes from now on which rows of a table change.
  func changes(of table: String) -> RowChanges {
    let changes = RowChanges(table: table)
    pool.add(transactionObserver: changes, extent: .databaseLifetime)
    return changes
  }

  /// Runs `body` in a transaction, which is undone when it throws. A task that is cancelled writes all the same:
  /// how a cancelled operation ended has to be kept too.
  @discardableResult
  package func write<Value: Sendable>(
    _ body: @Sendable @escaping (Database) throws -> Value
  ) async throws -> Value {
    let transact = { try await Task { try await self.transact(body) }.value }
    do {
      do {
        let value = try await transact()
        reserve.keep()
        return value
      } catch let error as DatabaseError
        where error.resultCode == .SQLITE_FULL && DiskReserve.mayBeUsed && reserve.giveUp()
      {
        return try await transact()
      }
    } catch { throw readable(error) }
  }

  private func transact<Value: Sendable>(
    _ body: @Sendable @escaping (Database) throws -> Value
  ) async throws -> Value {
    try await pool.writeWithoutTransaction { [self] database in
      try checkIsOpen()
      var result: Result<Value, any Error> = .failure(Self.closed)
      try database.inTransaction {
        result = .success(try body(database))
        return .commit
      }
      return try result.get()
    }
  }

  private func checkIsOpen() throws {
    if isClosed.load(ordering: .relaxed) { throw Self.closed }
  }

  /// Makes a backup unless there is one of the last day, and returns its path.
  @discardableResult
  package func backUpIfDue(now: Date = Date()) async throws -> String? {
    let backups = StoreBackups(directory: directory)
    guard backups.isDue(now: now) else { return nil }
    return try await pool.writeWithoutTransaction { [self] database in
      try checkIsOpen()
      return try backups.make(database, now: now)
    }
  }

  /// Writes what is still in the log into the database and closes it. Where there is no room for that, the log stays
  /// beside it, and the next daemon reads both.
  package func close() throws {
    do { try pool.writeWithoutTransaction { _ = try $0.checkpoint(.truncate) } } catch let error
      as DatabaseError
      where error.resultCode == .SQLITE_FULL
    {}
    // No operation is waited for without end, so that some may come later.
    pool.writeWithoutTransaction { _ in isClosed.store(true, ordering: .relaxed) }
    try pool.close()
  }

  private static let closed = DatabaseError(resultCode: .SQLITE_MISUSE, message: "the store is closed")
  private static let damage: [ResultCode] = [.SQLITE_CORRUPT, .SQLITE_NOTADB]

  private static var configuration: Configuration {
    var configuration = Configuration()
    configuration.label = "store"
    configuration.maximumReaderCount = 3
    configuration.busyMode = .timeout(5)
    configuration.prepareDatabase { database in
      // What has been answered stays true after a power cut.
      try database.execute(sql: "PRAGMA synchronous = FULL")
    }
    return configuration
  }

  private static func check(_ pool: DatabasePool, path: String) throws {
    let problem = try pool.read { database in
      try String.fetchOne(database, sql: "PRAGMA quick_check(1)") ?? "no answer"
    }
    if problem != "ok" {
      let words = problem.split(separator: "\n").joined(separator: " ")
      throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: words)
    }
    if try pool.read(StoreMigrations.all.hasBeenSuperseded) { throw StoreError.newer(path: path) }
  }

  private static func migrate(_ pool: DatabasePool, _ backups: StoreBackups) throws {
    let (isEmpty, isDone) = try pool.read { database in
      (
        try StoreMigrations.all.appliedIdentifiers(database).isEmpty,
        try StoreMigrations.all.hasCompletedMigrations(database)
      )
    }
    if isDone { return }
    if !isEmpty { _ = try pool.writeWithoutTransaction { try backups.make($0, now: Date()) } }
    try StoreMigrations.all.migrate(pool)
    // Connections that have read the tables before know columns that are not theirs any more.
    pool.invalidateReadOnlyConnections()
  }

  /// SQLite's words, without the statement.
  private static func words(_ error: any Error) -> String {
    if let error = error as? DatabaseError { return error.message ?? "\(error.resultCode)" }
    return error.localizedDescription
  }

  /// What a full disk means to whoever asked for something.
  private func readable(_ error: any Error) -> any Error {
    guard let error = error as? DatabaseError, error.resultCode == .SQLITE_FULL else { return error }
    return APIError.diskIsFull(directory)
  }
}
