/// When requests are meant to begin, if that does not depend on answers: an open loop.
///
/// Arrivals are evenly spaced, and one that no free slot could take at its time keeps its time: whatever delays it is
/// part of its latency. A generator that waited for answers instead would leave out exactly the moments that hurt.
struct Schedule: Equatable, Sendable {
  private let start: UInt64
  private let perSecond: Double
  private(set) var taken: UInt64 = 0

  /// Arrivals from `start`, a moment in nanoseconds, on.
  init(perSecond: Double, start: UInt64) {
    precondition(perSecond > 0, "a rate is above 0")
    self.perSecond = perSecond
    self.start = start
  }

  /// When the next arrival is due.
  var next: UInt64 { moment(of: taken) }

  /// Takes the next arrival if it is due by `now`, and answers when it was meant to be.
  mutating func take(by now: UInt64) -> UInt64? {
    let moment = next
    guard moment <= now else { return nil }
    taken += 1
    return moment
  }

  /// How many arrivals were due by `now` and not taken.
  func backlog(at now: UInt64) -> UInt64 {
    guard now >= start else { return 0 }
    var due = UInt64(Double(now - start) * perSecond / 1e9)
    // The division may end a hair on either side of an arrival.
    while moment(of: due) <= now { due += 1 }
    return due > taken ? due - taken : 0
  }

  /// Counted from the start, so that no rounding adds up.
  private func moment(of arrival: UInt64) -> UInt64 {
    start + UInt64(Double(arrival) * 1e9 / perSecond)
  }
}
