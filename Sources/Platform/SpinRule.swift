/// Decides whether a thread that finds nothing to do looks again for a while before it sleeps.
///
/// To be woken costs a thread tens of microseconds, above all on a virtual machine whose processor has gone to sleep too; to look again
/// costs processor time. So it pays where waits are short, and the last waits tell whether they are. Between two looks the thread yields.
/// Where somebody else has long work for the processor that gives a whole slice away, so nobody spins there for a while.
package struct SpinRule: Sendable {
  /// A yield that took longer met somebody with long work.
  private static let longYield: UInt64 = 1_000_000
  private static let shortestPause: UInt64 = 10_000_000
  private static let longestPause: UInt64 = 1_000_000_000

  /// How long one wait is spent looking, in nanoseconds; 0: never.
  package let limit: UInt64
  /// A mean of the last waits, of which the newest count most.
  private var typicalWait: UInt64
  private var resumesAt: UInt64 = 0
  private var pause = SpinRule.shortestPause

  package init(limit: Duration) {
    let (seconds, attoseconds) = limit.components
    self.limit = UInt64(clamping: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    // Nobody spins before there was something to do.
    typicalWait = self.limit * 16
  }

  /// Whether the wait that begins at `now` is most likely short, and the processor free.
  package func isWorthIt(at now: UInt64) -> Bool {
    typicalWait < limit * 2 && now >= resumesAt
  }

  /// Takes note of a wait, whether it was slept or spent looking.
  package mutating func didWait(_ nanoseconds: UInt64) {
    typicalWait = (typicalWait * 3 + min(nanoseconds, limit * 16)) / 4
  }

  /// Takes note of how long a yield took that ended at `now`; false if nobody should look again for a while.
  package mutating func didYield(_ nanoseconds: UInt64, at now: UInt64) -> Bool {
    guard nanoseconds > Self.longYield else { return true }
    // Each pause is twice as long as the one before, unless that was long ago.
    pause =
      now > resumesAt + Self.longestPause ? Self.shortestPause : min(pause * 2, Self.longestPause)
    resumesAt = now + pause
    return false
  }
}
