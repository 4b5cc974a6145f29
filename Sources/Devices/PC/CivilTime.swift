/// A date of the Gregorian calendar and a time of day, in what a clock on the wall shows.
struct CivilTime: Codable, Equatable, Sendable {
  var year: Int
  /// From 1.
  var month: Int
  /// From 1.
  var day: Int
  var hour: Int
  var minute: Int
  var second: Int

  private static let secondsPerDay = 86_400
  /// Days of the calendar's period of 400 years.
  private static let daysPerPeriod = 146_097
  /// Days from March 1 of the year 0 to January 1 of 1970.
  private static let epoch = 719_468

  init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
    self.year = year
    self.month = month
    self.day = day
    self.hour = hour
    self.minute = minute
    self.second = second
  }

  /// The time a number of seconds after the beginning of 1970.
  ///
  /// Years are counted from March, so that the day that comes and goes is the last; then a month's first day
  /// is a linear function of the month.
  init(seconds: Int) {
    let (days, rest) = Self.divide(seconds, Self.secondsPerDay)
    let (period, dayOfPeriod) = Self.divide(days + Self.epoch, Self.daysPerPeriod)
    let yearOfPeriod =
      (dayOfPeriod - dayOfPeriod / 1460 + dayOfPeriod / 36_524 - dayOfPeriod / 146_096) / 365
    let dayOfYear = dayOfPeriod - (365 * yearOfPeriod + yearOfPeriod / 4 - yearOfPeriod / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    year = 400 * period + yearOfPeriod + (month <= 2 ? 1 : 0)
    (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60)
  }

  /// Seconds since the beginning of 1970. What is too much for its place carries over.
  var seconds: Int {
    let (years, monthOfYear) = Self.divide(month - 1, 12)
    let yearFromMarch = year + years - (monthOfYear < 2 ? 1 : 0)
    let monthFromMarch = (monthOfYear + 10) % 12
    let (period, yearOfPeriod) = Self.divide(yearFromMarch, 400)
    let dayOfYear = (153 * monthFromMarch + 2) / 5 + day - 1
    let dayOfPeriod = 365 * yearOfPeriod + yearOfPeriod / 4 - yearOfPeriod / 100 + dayOfYear
    let days = Self.daysPerPeriod * period + dayOfPeriod - Self.epoch
    return Self.secondsPerDay * days + 3600 * hour + 60 * minute + second
  }

  /// From 1 for Sunday.
  static func weekday(seconds: Int) -> Int {
    // 1970 began on a Thursday.
    divide(divide(seconds, secondsPerDay).quotient + 4, 7).remainder + 1
  }

  /// Division towards negative infinity.
  private static func divide(_ dividend: Int, _ divisor: Int) -> (quotient: Int, remainder: Int) {
    let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
  }
}
