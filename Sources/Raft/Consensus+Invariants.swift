internal import RoostWire

extension Consensus {
  /// Stops the process if something is false that is true between any two inputs.
  ///
  /// Each is a bug here if it breaks, never bad input.
  func checkInvariants() {
    if let brokenInvariant { insist(false, brokenInvariant) }
  }

  /// The first sentence that should be true and is not.
  package var brokenInvariant: String? {
    if commitIndex > log.lastIndex { return "what is committed is held" }
    if log.base.index > commitIndex { return "only what is committed is compacted" }
    if ledger.durableIndex > log.lastIndex { return "the disk is never ahead of the memory" }
    if log.lastTerm > term { return "no entry is from the future" }
    if memberships.isEmpty { return "a node knows a membership, if only that of nobody" }
    if roleCount > 1 { return "a node has one role" }
    if role == .candidate, vote != id { return "a candidate votes for itself" }
    if let following, let broken = brokenInvariant(of: following) { return broken }
    if let leadership, let broken = brokenInvariant(of: leadership) { return broken }
    #if EXPENSIVE_CHECKS
    return brokenLog
    #else
    return nil
    #endif
  }

  private var roleCount: Int {
    (following == nil ? 0 : 1) + (candidacy == nil ? 0 : 1) + (leadership == nil ? 0 : 1)
  }

  private func brokenInvariant(of following: Following) -> String? {
    if following.leader == id { return "a node does not follow itself" }
    if following.verified > log.lastIndex { return "only what is held is verified" }
    if following.acknowledged > following.verified { return "only what is verified is promised" }
    if commitIndex > following.verified { return "only what is verified is committed" }
    return nil
  }

  private func brokenInvariant(of leadership: Leadership) -> String? {
    if vote != id { return "a leader voted for itself" }
    if leadership.openingIndex > log.lastIndex { return "a term begins with its opening entry" }
    var earlier = NodeID.zero
    for progress in leadership.progress {
      if progress.id <= earlier { return "members are ordered" }
      earlier = progress.id
      if progress.match >= progress.next { return "what matched is not sent again" }
      if progress.match > log.lastIndex { return "nobody has more than the leader" }
      if progress.next > log.lastIndex.next { return "only what is there is sent" }
      if (progress.mode == .snapshot) != (progress.transfer != nil) {
        return "a snapshot is sent from a file"
      }
    }
    return nil
  }

  #if EXPENSIVE_CHECKS
  private var brokenLog: String? {
    var before = log.base
    while let entry = log.entry(at: before.index.next) {
      if entry.index != before.index.next { return "the log has no gaps" }
      if entry.term < before.term { return "terms never fall along the log" }
      before = entry.position
    }
    return before == log.last ? nil : "the log ends where it says"
  }
  #endif
}
