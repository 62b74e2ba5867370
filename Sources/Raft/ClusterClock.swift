internal import RoostWire

/// A leader's view of cluster time: from where its predecessors left it, at the rate of its own clock.
///
/// A reading moves the time by what has passed since the last one, and by a limit at most: a leader that
/// slept must not end everybody's leases in one jump.
struct ClusterClock: Hashable, Sendable {
  private(set) var time: ClusterTime
  private var readAt: Instant

  init(time: ClusterTime, now: Instant) {
    self.time = time
    readAt = now
  }

  mutating func read(at now: Instant, limit: Duration) -> ClusterTime {
    let passed = min(now.nanoseconds(since: readAt), limit.wholeNanoseconds)
    let (sum, overflow) = time.rawValue.addingReportingOverflow(passed)
    time = overflow ? time : ClusterTime(sum)
    readAt = max(now, readAt)
    return time
  }
}
