package import GRDB
package import VolaryAPI

/// Moments are kept as microseconds, so that they sort and compare as numbers.
extension Timestamp: DatabaseValueConvertible {
  package var databaseValue: DatabaseValue { microseconds.databaseValue }

  package static func fromDatabaseValue(_ value: DatabaseValue) -> Timestamp? {
    Int64.fromDatabaseValue(value).map { Timestamp(microseconds: $0) }
  }
}
