package import RoostWire

// Raft §5.3 and §5.4.2, thesis §10.2 (pipelining, and the leader's own disk beside the network).

/// Why a leader did not take a proposal.
///
/// Nothing of it is in the log.
package enum ProposalRefusal: Error, Equatable {
  /// Another node may lead; 0 if none is known.
  case notLeader(hint: NodeID)
  /// Leadership is being handed over; ask the new leader.
  case transferring(to: NodeID)
  /// Too much waits for commitment already: the quorum is slow or silent.
  case tooManyUncommittedBytes(limit: Int)
  /// No entry can be this long.
  case tooLarge(limit: Int)
}

extension Consensus {
  /// Appends a batch of requests to the log, if this node leads.
  ///
  /// That it was taken promises nothing: it is in effect once the commit index has passed the returned
  /// place, and it is lost if an entry of another term stands there then.
  package mutating func propose(
    _ payload: [UInt8],
    now: Instant,
    into effects: inout Effects
  ) throws(ProposalRefusal) -> LogPosition {
    guard let leadership else { throw .notLeader(hint: leader) }
    if let transfer = leadership.transfer { throw .transferring(to: transfer.target) }
    guard payload.count <= Entry.payloadLimit else { throw .tooLarge(limit: Entry.payloadLimit) }
    let uncommitted = uncommittedByteCount
    // An empty pipe takes any one entry, or a large one could never be proposed.
    guard uncommitted == 0 || uncommitted + payload.count <= settings.uncommittedByteLimit else {
      throw .tooManyUncommittedBytes(limit: settings.uncommittedByteLimit)
    }
    defer { checkInvariants() }
    return appendOwn(.requests, payload, now: now, into: &effects)
  }

  /// What the leader's cluster time is at `now`; elsewhere the newest that was heard.
  package mutating func clusterTime(now: Instant) -> ClusterTime {
    leadership?.clock.read(at: now, limit: settings.loyalty) ?? knownTime
  }

  /// Where cluster time stands as far as this node knows.
  ///
  /// What an earlier leader told counts no more once the log holds a later one's entries: that one may never have heard it,
  /// and whoever goes on from there would end its leases early.
  private var knownTime: ClusterTime {
    heardTimeIn >= log.lastTerm ? max(heardTime, log.lastTime) : log.lastTime
  }

  mutating func becomeLeader(now: Instant, into effects: inout Effects) {
    precondition(following == nil, "a term has one leader")
    candidacy = nil
    let clock = ClusterClock(time: knownTime, now: now)
    leadership = Leadership(
      openingIndex: log.lastIndex.next,
      clock: clock,
      heartbeatDeadline: now.advanced(by: settings.heartbeatInterval),
      now: now
    )
    effects.leaderChanged = true
    alignProgress(now: now)
    // §5.4.2, §8: an entry of the new term commits all that came before it.
    _ = appendOwn(.opening, [], now: now, into: &effects)
  }

  @discardableResult
  mutating func appendOwn(
    _ kind: EntryKind,
    _ payload: [UInt8],
    now: Instant,
    into effects: inout Effects
  ) -> LogPosition {
    let entry = Entry(
      term: term,
      index: log.lastIndex.next,
      time: clusterTime(now: now),
      kind: kind,
      payload: payload
    )
    stage(entry, into: &effects)
    if kind == .membership { alignProgress(now: now) }
    replicate(now: now, into: &effects)
    if has(.countOwnBeforeSync) { didPersistOwnEntries(now: now, into: &effects) }
    return entry.position
  }

  /// The leader's own disk is one voter among the others, and as little trusted before it has synced.
  mutating func didPersistOwnEntries(now: Instant, into effects: inout Effects) {
    guard let slot = leadership?.slot(of: id) else { return }
    let match = has(.countOwnBeforeSync) ? log.lastIndex : ledger.durableIndex
    guard let known = leadership?.progress[slot].match, match > known else { return }
    leadership?.progress[slot].didMatch(match)
    advanceCommit(now: now, into: &effects)
  }

  // MARK: Answers of followers

  mutating func didAccept(
    _ acceptance: Acceptance,
    from follower: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    guard let slot = leadership?.slot(of: follower) else { return }
    guard acceptance.match <= acceptance.received, acceptance.received <= log.lastIndex else {
      return
    }
    leadership?.progress[slot].heardAt = now
    confirm(acceptance.round, by: slot)
    let hadMatch = leadership?.progress[slot].match ?? .zero
    leadership?.progress[slot].didMatch(acceptance.match)
    if let mode = leadership?.progress[slot].mode {
      adjust(slot, in: mode, to: acceptance, now: now, into: &effects)
    }
    if acceptance.match > hadMatch { advanceCommit(now: now, into: &effects) }
    releaseReads(now: now, into: &effects)
    // Either may have ended the leadership or changed who is followed.
    guard let slot = leadership?.slot(of: follower) else { return }
    replicate(to: slot, now: now, into: &effects)
    didProgress(slot, now: now, into: &effects)
  }

  private mutating func adjust(
    _ slot: Int,
    in mode: Progress.Mode,
    to acceptance: Acceptance,
    now: Instant,
    into effects: inout Effects
  ) {
    guard let leadership else { return }
    let progress = leadership.progress[slot]
    let next = acceptance.received.next
    switch mode {
    case .probe:
      if next >= progress.next {
        self.leadership?.progress[slot].becomeReplicate(next: next, in: leadership.round)
      } else if let probedIn = progress.probedIn, acceptance.round > probedIn {
        // A later heartbeat was answered and the probe was not: it is lost.
        self.leadership?.progress[slot].probedIn = nil
      }
    case .replicate:
      if progress.hasLost(received: acceptance.received, round: acceptance.round) {
        self.leadership?.progress[slot].becomeProbe(next: next)
      }
    case .snapshot:
      if next >= log.firstIndex {
        self.leadership?.progress[slot].becomeReplicate(next: next, in: leadership.round)
      } else if let transfer = progress.transfer, next > transfer.snapshot.mark.index {
        // It has all of that snapshot, and the log behind it has gone on without it.
        startSnapshot(for: slot, now: now, into: &effects)
      }
    }
  }

  mutating func didReject(
    _ rejection: Rejection,
    from follower: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    guard let slot = leadership?.slot(of: follower), let progress = leadership?.progress[slot]
    else {
      return
    }
    leadership?.progress[slot].heardAt = now
    switch progress.mode {
    case .probe: guard rejection.previous == progress.next.previous else { return }
    case .replicate: guard rejection.previous > progress.match else { return }
    case .snapshot: return
    }
    // Where both the follower's term and ours at that place are no greater, the logs may agree.
    let limit = min(rejection.hint.index, rejection.previous.previous)
    let place =
      limit < log.base.index
      ? limit : log.lastPosition(upTo: limit, term: rejection.hint.term).index
    // Whoever lacks what it had acknowledged started again in this term, after damage. It stands by its promise until
    // it has everything again, so what was counted stays true; an old answer that says the same costs a message.
    leadership?.progress[slot].didLose(after: place)
    leadership?.progress[slot].becomeProbe(next: place.next)
    replicate(to: slot, now: now, into: &effects)
  }

  /// Raft §5.3, §5.4.2: committed is what a majority has on its disk, counted on entries of the
  /// leader's own term only (figure 8).
  mutating func advanceCommit(now: Instant, into effects: inout Effects) {
    guard let leadership else { return }
    let agreed = LogIndex(leadership.agreed { $0.match.rawValue })
    guard agreed > commitIndex else { return }
    guard log.term(at: agreed) == term || has(.commitOlderTerm) else { return }
    let wasMembershipCommitted = isMembershipCommitted
    commit(through: agreed, into: &effects)
    if leadership.noticeDeadline == nil {
      self.leadership?.noticeDeadline = now.advanced(by: settings.commitNoticeDelay)
    }
    if !wasMembershipCommitted, isMembershipCommitted {
      didCommitMembership(now: now, into: &effects)
    }
    advanceMembership(now: now, into: &effects)
  }

  // MARK: Sending

  mutating func replicate(now: Instant, into effects: inout Effects) {
    guard let count = leadership?.progress.count else { return }
    for slot in 0..<count { replicate(to: slot, now: now, into: &effects) }
  }

  /// Sends what the follower lacks, as far as its window allows.
  mutating func replicate(to slot: Int, now: Instant, into effects: inout Effects) {
    guard let progress = leadership?.progress[slot], progress.id != id else { return }
    switch progress.mode {
    case .probe:
      if progress.probedIn == nil { sendAppend(to: slot, now: now, into: &effects) }
    case .replicate:
      while let progress = leadership?.progress[slot], progress.mode == .replicate,
        progress.next <= log.lastIndex, hasWindow(progress)
      {
        sendAppend(to: slot, now: now, into: &effects)
      }
    case .snapshot: break
    }
  }

  private func hasWindow(_ progress: Progress) -> Bool {
    progress.flights.count < settings.inFlightMessageLimit
      && progress.byteCountInFlight < settings.inFlightByteLimit
  }

  private mutating func sendAppend(to slot: Int, now: Instant, into effects: inout Effects) {
    guard let leadership else { return }
    let progress = leadership.progress[slot]
    guard let term = log.term(at: progress.next.previous) else {
      return startSnapshot(for: slot, now: now, into: &effects)
    }
    let (entries, byteCount) = log.entries(
      from: progress.next,
      byteLimit: settings.messageByteLimit
    )
    let request = AppendRequest(
      previous: LogPosition(term: term, index: progress.next.previous),
      commit: commitIndex,
      entries: entries
    )
    send(.append(request), to: progress.id, into: &effects)
    self.leadership?.progress[slot].announcedCommit = commitIndex
    if progress.mode == .probe {
      self.leadership?.progress[slot].probedIn = leadership.round
    } else {
      self.leadership?.progress[slot].didSend(
        through: request.last.index,
        byteCount: byteCount,
        in: leadership.round
      )
    }
  }

  // MARK: Heartbeats

  mutating func tickLeader(now: Instant, into effects: inout Effects) {
    guard let deadline = leadership?.heartbeatDeadline else { return }
    endTransfer(now: now)
    if now >= deadline {
      if now >= deadline.advanced(by: settings.loyalty) {
        // This node slept: the quorum's answers may still wait to be read.
        leadership?.countsSilenceFrom = now
      }
      guard hearsQuorum(now) else { return becomeFollower(in: term, now: now, into: &effects) }
      // Rounds that reads begin do not put off what else is due with a heartbeat.
      leadership?.heartbeatDeadline = now.advanced(by: settings.heartbeatInterval)
      beginRound(now: now, into: &effects)
      tickSnapshots(now: now, into: &effects)
      reviewMembers(now: now, into: &effects)
      considerPreferred(now: now, into: &effects)
    } else if let notice = leadership?.noticeDeadline, now >= notice {
      announceCommit(into: &effects)
    }
  }

  /// Check-quorum (thesis §6.2): a leader that a majority does not answer must not go on.
  func hearsQuorum(_ now: Instant) -> Bool {
    guard let leadership else { return false }
    let heardAt = max(Instant(nanoseconds: leadership.quorumRound), leadership.countsSilenceFrom)
    return now < heardAt.advanced(by: settings.loyalty)
  }

  /// Asks everybody whether this node still leads, under a name that no round had before.
  mutating func beginRound(now: Instant, into effects: inout Effects) {
    guard let last = leadership?.round else { return }
    leadership?.round = max(last &+ 1, now.nanoseconds)
    leadership?.noticeDeadline = nil
    _ = clusterTime(now: now)
    sendHeartbeats(into: &effects) { _ in true }
  }

  /// Tells the commit index to those who have not heard it with other messages.
  private mutating func announceCommit(into effects: inout Effects) {
    leadership?.noticeDeadline = nil
    let commit = commitIndex
    sendHeartbeats(into: &effects) { $0.announcedCommit < commit }
  }

  mutating func sendHeartbeats(into effects: inout Effects, where isMeant: (Progress) -> Bool) {
    guard let round = leadership?.round, let time = leadership?.clock.time,
      let slots = leadership?.progress.indices
    else { return }
    let heartbeat = Heartbeat(commit: commitIndex, round: round, time: time)
    for slot in slots {
      guard let follower = leadership?.progress[slot].id, follower != id,
        leadership.map({ isMeant($0.progress[slot]) }) == true
      else { continue }
      send(.heartbeat(heartbeat), to: follower, into: &effects)
      leadership?.progress[slot].announcedCommit = commitIndex
    }
  }

  /// What this node knows about the members, if it leads.
  package var memberStatus: [MemberStatus] {
    guard let leadership else { return [] }
    return leadership.progress.map { progress in
      MemberStatus(
        id: progress.id,
        match: progress.match,
        next: progress.next,
        byteCountBehind: log.byteCount(after: progress.match),
        byteCountInFlight: progress.byteCountInFlight,
        isReceivingSnapshot: progress.mode == .snapshot,
        heardAt: progress.heardAt
      )
    }
  }
}
