/// What a run has counted.
struct Tally: Sendable {
  /// Requests that were done since the load began.
  var done: UInt64 = 0
  var errors: UInt64 = 0
  var lastError = ""
  /// Whether latencies are kept: after the warm-up.
  var isMeasuring = false

  private(set) var latencies = Histogram()
  /// Of the reads of a mixed load alone.
  private(set) var reads = Histogram()
  /// From asking for a lock to holding it.
  var acquisitions = Histogram()
  /// From one holder's release to the next one's grant.
  var handovers = Histogram()
  /// From a write to a watcher's knowing it.
  var events = Histogram()

  @inline(__always)
  mutating func count(_ latency: UInt64, isRead: Bool) {
    done += 1
    guard isMeasuring else { return }
    latencies.add(latency)
    if isRead { reads.add(latency) }
  }

  /// Forgets the warm-up.
  mutating func beginMeasuring() {
    latencies.removeAll()
    reads.removeAll()
    acquisitions.removeAll()
    handovers.removeAll()
    events.removeAll()
    isMeasuring = true
  }
}
