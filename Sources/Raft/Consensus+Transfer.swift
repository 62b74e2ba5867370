package import RoostWire

// Thesis §3.10: leadership is handed over, on demand or to a preferred node.

/// Why leadership was not handed over.
package enum TransferRefusal: Error, Equatable {
  case notLeader(hint: NodeID)
  /// A transfer to this node is under way.
  case transferring(to: NodeID)
  /// The node is no voter, should not lead, or was not heard of lately; or there is no such node.
  case noSuccessor
}

extension Consensus {
  /// Hands leadership to a voter: to `target`, or to the one that is best placed.
  ///
  /// Until the other has taken over, or an election timeout has passed, proposals are refused.
  package mutating func transferLeadership(
    to target: NodeID? = nil,
    now: Instant,
    into effects: inout Effects
  ) throws(TransferRefusal) {
    guard let leadership else { throw .notLeader(hint: leader) }
    if let transfer = leadership.transfer { throw .transferring(to: transfer.target) }
    guard let heir = target ?? bestSuccessor(now), mayHandOver(to: heir, now) else {
      throw .noSuccessor
    }
    defer { checkInvariants() }
    let deadline = now.advanced(by: settings.electionTimeout.upperBound)
    self.leadership?.transfer = LeadershipTransfer(target: heir, deadline: deadline)
    if let slot = leadership.slot(of: heir) { replicate(to: slot, now: now, into: &effects) }
    handOver(now: now, into: &effects)
  }

  /// Whether this node leads and another is about to take over.
  package var isTransferring: Bool { leadership?.transfer != nil }

  private func mayHandOver(to heir: NodeID, _ now: Instant) -> Bool {
    guard heir != id, let member = membership[heir], member.priority > 0 else { return false }
    // Who leaves with the change under way would have to hand over again.
    return membership.isVoter(heir) && member.goal == .voter && isAlive(heir, now)
  }

  /// The voter that has most of the log, and among equals the most preferred one.
  func bestSuccessor(_ now: Instant) -> NodeID? {
    guard let leadership else { return nil }
    var best: (id: NodeID, match: LogIndex, priority: UInt8)?
    for progress in leadership.progress where mayHandOver(to: progress.id, now) {
      let priority = membership[progress.id]?.priority ?? 0
      if let best, (best.match, best.priority) >= (progress.match, priority) { continue }
      best = (progress.id, progress.match, priority)
    }
    return best?.id
  }

  /// Lets the heir campaign as soon as it has all of the log.
  mutating func handOver(now: Instant, into effects: inout Effects) {
    guard let leadership, let transfer = leadership.transfer,
      let slot = leadership.slot(of: transfer.target)
    else { return }
    guard leadership.progress[slot].match == log.lastIndex else { return }
    guard !transfer.wasTold else { return }
    self.leadership?.transfer?.wasTold = true
    self.leadership?.hasForfeitedLease = true
    send(.campaignNow, to: transfer.target, into: &effects)
  }

  /// The heir did not take over in time: goes on to lead.
  mutating func endTransfer(now: Instant) {
    guard let transfer = leadership?.transfer, now >= transfer.deadline else { return }
    leadership?.transfer = nil
    leadership?.preferred = nil
  }

  /// The leader asks this node to take over: it campaigns at once, without asking whether it may.
  mutating func takeOver(from sender: NodeID, now: Instant, into effects: inout Effects) {
    guard following?.leader == sender, mayCampaign else { return }
    campaign(isTransfer: true, now: now, into: &effects)
  }

  /// Hands over to a more preferred voter that has been healthy for a while.
  mutating func considerPreferred(now: Instant, into effects: inout Effects) {
    guard let leadership, leadership.transfer == nil, isEstablished else { return }
    guard let better = preferredNode(now) else {
      self.leadership?.preferred = nil
      return
    }
    guard let known = leadership.preferred, known.id == better else {
      self.leadership?.preferred = PreferredNode(id: better, since: now)
      return
    }
    let isStopgap = membership[id]?.priority == 0
    let delay = isStopgap ? Duration.zero : settings.priorityDelay
    guard now >= known.since.advanced(by: delay) else { return }
    self.leadership?.preferred = nil
    try? transferLeadership(to: better, now: now, into: &effects)
  }

  private func preferredNode(_ now: Instant) -> NodeID? {
    guard let leadership else { return nil }
    var best: (id: NodeID, priority: UInt8) = (.zero, membership[id]?.priority ?? 0)
    for progress in leadership.progress where mayHandOver(to: progress.id, now) {
      guard let priority = membership[progress.id]?.priority, priority > best.priority else {
        continue
      }
      // Only who is nearly up to date: the hand-over waits for the rest, and clients with it.
      guard progress.mode == .replicate, progress.match >= commitIndex else { continue }
      best = (progress.id, priority)
    }
    return best.id == .zero ? nil : best.id
  }
}
