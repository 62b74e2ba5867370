internal import RoostWire

// Raft Figure 2, AppendEntries: the receiver's side.

extension Consensus {
  /// Stands by the sender as the leader of this term; false if that cannot be.
  mutating func follow(_ sender: NodeID, now: Instant, into effects: inout Effects) -> Bool {
    // Two leaders in a term are what the protocol rules out, so a second one is not to be believed.
    guard leadership == nil, following.map({ $0.leader == sender }) ?? true else { return false }
    if following == nil {
      candidacy = nil
      // Leader completeness (§5.4): what is committed here is in the leader's log too.
      following = Following(leader: sender, heardAt: now, verified: commitIndex)
      effects.leaderChanged = true
    }
    following?.heardAt = now
    resetElectionTimer(now)
    return true
  }

  mutating func append(
    _ request: AppendRequest,
    from sender: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    guard follow(sender, now: now, into: &effects) else { return }
    guard agrees(with: request.previous) else { return reject(request, into: &effects) }

    let merged = merge(request.entries, into: &effects)
    guard merged != .contradiction else { return }
    following?.verify(through: request.last.index)
    let verified = following?.verified ?? .zero
    commit(through: request.commit, verified: verified, into: &effects)

    // What was just appended is acknowledged when it is on the disk, once for all that a sync covers.
    if merged == .knownAlready || has(.acknowledgeBeforeSync) { sendAcceptance(into: &effects) }
  }

  private enum Merge {
    case knownAlready, appended, contradiction
  }

  /// Whether the log has the entry before those that came: as far as it was verified it has, even
  /// where it has been compacted away since.
  private func agrees(with previous: LogPosition) -> Bool {
    if let following, previous.index <= following.verified { return true }
    return log.contains(previous) || (has(.skipPreviousCheck) && previous.index <= log.lastIndex)
  }

  /// Adds what is missing.
  ///
  /// Only a true conflict cuts the log: a message that comes late or twice must not remove what
  /// followed it (§5.3).
  private mutating func merge(_ entries: [Entry], into effects: inout Effects) -> Merge {
    if has(.truncateWithoutConflict) { truncateAnyway(before: entries, into: &effects) }
    var outcome = Merge.knownAlready
    for entry in entries where entry.index > (following?.verified ?? .zero) {
      if let term = log.term(at: entry.index) {
        if term == entry.term { continue }
        // A leader that contradicts what is committed is not one: believe nothing it says.
        guard entry.index > commitIndex else { return .contradiction }
        stageTruncation(from: entry.index, into: &effects)
      }
      guard entry.index == log.lastIndex.next, entry.term >= log.lastTerm else {
        return .contradiction
      }
      stage(entry, into: &effects)
      outcome = .appended
    }
    return outcome
  }

  /// The planted mistake of cutting the log wherever entries begin.
  private mutating func truncateAnyway(before entries: [Entry], into effects: inout Effects) {
    guard let first = entries.first, first.index > commitIndex, first.index <= log.lastIndex else {
      return
    }
    stageTruncation(from: first.index, into: &effects)
    if let following { self.following?.verified = min(following.verified, first.index.previous) }
  }

  /// Names the last place where the logs may agree, so that a leader skips a whole term at a time.
  private func reject(_ request: AppendRequest, into effects: inout Effects) {
    guard let following else { return }
    let hint = log.lastPosition(upTo: request.previous.index, term: request.previous.term)
    let rejection = Rejection(previous: request.previous.index, hint: hint)
    send(.rejected(rejection), to: following.leader, into: &effects)
  }

  mutating func hear(
    _ heartbeat: Heartbeat,
    from sender: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    guard follow(sender, now: now, into: &effects), let following else { return }
    self.following?.round = max(following.round, heartbeat.round)
    heardTime = heardTimeIn == term ? max(heardTime, heartbeat.time) : heartbeat.time
    heardTimeIn = term
    commit(through: heartbeat.commit, verified: following.verified, into: &effects)
    sendAcceptance(into: &effects)
  }

  /// Raft Figure 2: what the leader has committed, as far as its log was compared with this one.
  private mutating func commit(
    through leaderCommit: LogIndex,
    verified: LogIndex,
    into effects: inout Effects
  ) {
    let known = has(.commitUnverified) ? leaderCommit : min(leaderCommit, verified)
    commit(through: known, into: &effects)
  }

  /// Moves the commit index, never back and never beyond the log.
  mutating func commit(through index: LogIndex, into effects: inout Effects) {
    let index = min(index, log.lastIndex)
    guard index > commitIndex else { return }
    let wasMembershipCommitted = isMembershipCommitted
    commitIndex = index
    effects.commitIndex = index
    if !wasMembershipCommitted, isMembershipCommitted { effects.membershipChanged = true }
  }
}
