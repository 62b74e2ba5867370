package import RoostWire

// What the exhaustive search needs so that two nodes that will act alike are equal.

extension Consensus {
  /// Sets every moment that the node remembers to `now`, and its dice to nothing.
  ///
  /// For a search in which time stands still and timers run out when the search says so. The rounds
  /// of a leader and the attempts of a candidate keep their numbers: these are names.
  package mutating func standStill(at now: Instant) {
    random = SplitMix64(seed: 0)
    electionDeadline = now
    loyalUntil = now
    following?.heardAt = now
    if following?.askAgainAt != nil { following?.askAgainAt = now }
    leadership?.standStill(at: now)
  }

  /// The same node in a cluster whose members have other names.
  ///
  /// `name` must give each member one that is of the same kind in every membership that the node
  /// knows, so that all memberships stay as they are.
  package func renamed(_ name: (NodeID) -> NodeID) -> Consensus {
    var copy = self
    copy.id = name(id)
    copy.hardState.vote = name(vote)
    if let following { copy.following?.leader = name(following.leader) }
    copy.candidacy = candidacy?.renamed(name)
    copy.leadership?.rename(name)
    return copy
  }
}

extension Candidacy {
  fileprivate func renamed(_ name: (NodeID) -> NodeID) -> Candidacy {
    var copy = Candidacy(kind, round: round)
    for voter in granted { copy.grant(by: name(voter)) }
    return copy
  }
}

extension Leadership {
  fileprivate mutating func standStill(at now: Instant) {
    clock = ClusterClock(time: clock.time, now: now)
    heartbeatDeadline = now
    noticeDeadline = nil
    countsSilenceFrom = now
    transfer?.deadline = now
    preferred?.since = now
    for slot in progress.indices {
      progress[slot].transfer?.movedAt = now
      if progress[slot].heardAt != nil { progress[slot].heardAt = now }
      progress[slot].catchUp?.startedAt = now
    }
  }

  fileprivate mutating func rename(_ name: (NodeID) -> NodeID) {
    for slot in progress.indices { progress[slot].id = name(progress[slot].id) }
    progress.sort { $0.id < $1.id }
    for slot in reads.indices {
      if case .follower(let follower, let ticket) = reads[slot].source {
        reads[slot].source = .follower(name(follower), ticket)
      }
    }
    if let target = transfer?.target { transfer?.target = name(target) }
    if let known = preferred?.id { preferred?.id = name(known) }
  }
}
