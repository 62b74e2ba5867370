/// How much a node holds on to, beside what it may.
struct MemoryJudge {
  /// What a node has in memory for others.
  struct Load {
    /// Bytes of entries behind the commit index, of a leader that knows it.
    var uncommittedBytes = 0
    var watches = 0
    /// Bytes of events for one connection that have not left.
    var unsentEventBytes = 0
    /// Bytes of replies and events for one connection that the network has not taken.
    var unsentBytes = 0
    /// Requests of one connection that have no answer.
    var owedAnswers = 0
  }

  /// The most that there may be.
  struct Bounds {
    var uncommittedBytes: Int
    /// Watches that clients have altogether, and may have had a moment ago.
    var watches: Int
    var unsentEventBytes = 4 << 20 + 1 << 20
    var unsentBytes = 16 << 20
    /// A session's window, and the reads that may wait.
    var owedAnswers = 1024
  }

  /// What is above its bound, if anything is.
  static func judge(_ load: Load, _ bounds: Bounds) -> String? {
    let pairs = [
      ("bytes of uncommitted entries", load.uncommittedBytes, bounds.uncommittedBytes),
      ("watches", load.watches, bounds.watches),
      ("unsent bytes of events", load.unsentEventBytes, bounds.unsentEventBytes),
      ("unsent bytes", load.unsentBytes, bounds.unsentBytes),
      ("unanswered requests of one connection", load.owedAnswers, bounds.owedAnswers),
    ]
    for (name, count, bound) in pairs where count > bound {
      return "holds \(count) \(name), and may hold \(bound)"
    }
    return nil
  }
}
