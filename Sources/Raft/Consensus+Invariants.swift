internal import RoostWire

extension Consensus {
  /// What is true between any two inputs.
  ///
  /// Each line is a bug here if it breaks, never bad input.
  package func checkInvariants() {
    precondition(commitIndex <= log.lastIndex, "what is committed is held")
    precondition(log.base.index <= commitIndex, "only what is committed is compacted")
    precondition(ledger.durableIndex <= log.lastIndex, "the disk is never ahead of the memory")
    precondition(log.lastTerm <= term, "no entry is from the future")
    precondition(!memberships.isEmpty, "a node knows a membership, if only that of nobody")
    precondition(roleCount <= 1, "a node has one role")
    if let following { checkFollowing(following) }
    if let leadership { checkLeadership(leadership) }
    if candidacy?.kind != nil, candidacy?.kind != .preVote {
      precondition(vote == id, "a candidate votes for itself")
    }
    #if EXPENSIVE_CHECKS
    checkWholeLog()
    #endif
  }

  private var roleCount: Int {
    (following == nil ? 0 : 1) + (candidacy == nil ? 0 : 1) + (leadership == nil ? 0 : 1)
  }

  private func checkFollowing(_ following: Following) {
    precondition(following.leader != id, "a node does not follow itself")
    precondition(following.verified <= log.lastIndex, "only what is held is verified")
    precondition(following.acknowledged <= following.verified, "only what is verified is promised")
    precondition(
      commitIndex <= following.verified || has(.commitUnverified),
      "commits are verified"
    )
  }

  private func checkLeadership(_ leadership: Leadership) {
    precondition(vote == id || log.lastTerm == term, "a leader was elected")
    precondition(leadership.openingIndex <= log.lastIndex, "a term begins with its opening entry")
    var earlier = NodeID.zero
    for progress in leadership.progress {
      precondition(progress.id > earlier, "members are ordered")
      earlier = progress.id
      precondition(progress.match < progress.next, "what matched is not sent again")
      precondition(progress.match <= log.lastIndex, "nobody has more than the leader")
      precondition(progress.next <= log.lastIndex.next, "only what is there is sent")
      precondition(
        (progress.mode == .snapshot) == (progress.transfer != nil),
        "snapshots have a file"
      )
    }
  }

  private func checkWholeLog() {
    var before = log.base
    var index = log.firstIndex
    while let entry = log.entry(at: index) {
      precondition(entry.index == before.index.next, "the log has no gaps")
      precondition(entry.term >= before.term, "terms never fall along the log")
      before = entry.position
      index = index.next
    }
    precondition(before == log.last, "the log ends where it says")
  }
}
