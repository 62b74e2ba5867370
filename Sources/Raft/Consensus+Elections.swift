package import RoostWire

// Raft §5.2 and §5.4.1, thesis §9.6 (pre-vote) and §4.2.3 (loyalty to a leader that is heard).

extension Consensus {
  /// Begins to look for a leader other than the one that fell silent.
  mutating func electionTimeout(now: Instant, into effects: inout Effects) {
    forgetLeader(into: &effects)
    resetElectionTimer(now)
    guard mayCampaign else { return }

    candidacy = Candidacy(.preVote, round: now.nanoseconds)
    effects.leaderChanged = true
    let request = PreVoteRequest(proposed: term.next, last: log.last, round: now.nanoseconds)
    askVoters(.preVoteRequest(request), into: &effects)
    countPreVote(in: now.nanoseconds, from: id, now: now, into: &effects)
  }

  /// Whether this node could lead: its log is whole, and its vote may be needed.
  ///
  /// That is a voter, one that leaves until it knows that to be committed (thesis §4.2.2), and one that
  /// is to be a voter: where others know a newer or an older membership, these may hold what nobody
  /// else has, and would vote for no one. Their own vote only counts where they are voters.
  var mayCampaign: Bool {
    guard log.last.isAtLeastAsNew(as: promised) else { return false }
    return possibleMemberships.contains { placed in
      guard let member = placed.membership[id], member.incarnation == incarnation else {
        return false
      }
      return member.votes || member.goal == .voter || has(.countLearner)
    }
  }

  /// The log that this node answers votes by: what it holds, or what it may have promised before its
  /// journal was damaged.
  private var judgedLog: LogPosition {
    log.last.isAtLeastAsNew(as: promised) ? log.last : promised
  }

  /// Whether this node has heard a leader so recently that nobody may disturb it.
  func isLoyal(_ now: Instant) -> Bool {
    if leadership != nil || now < loyalUntil { return true }
    guard let following else { return false }
    return now < following.heardAt.advanced(by: settings.loyalty)
  }

  func answerPreVote(
    _ request: PreVoteRequest,
    from sender: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    guard !isLoyal(now) else { return }
    let granted = request.proposed > term && request.last.isAtLeastAsNew(as: judgedLog)
    send(.preVoteReply(round: request.round, granted: granted), to: sender, into: &effects)
  }

  mutating func countPreVote(
    in round: UInt64,
    from voter: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    guard let candidacy, candidacy.kind == .preVote, candidacy.round == round else { return }
    if grantedQuorum(with: voter) { campaign(isTransfer: false, now: now, into: &effects) }
  }

  /// Raft §5.2: takes the next term and votes for itself.
  ///
  /// The others are asked once that vote is on the disk. Were they asked before, a crash could bring
  /// this node back with a shorter log and the same term, and the answers to the longer log would
  /// elect the shorter one.
  mutating func campaign(isTransfer: Bool, now: Instant, into effects: inout Effects) {
    becomeFollower(in: term.next, now: now, into: &effects)
    hardState.vote = id
    stageHardState(into: &effects)
    candidacy = Candidacy(.vote(isTransfer: isTransfer), round: now.nanoseconds)
    resetElectionTimer(now)
    if has(.campaignBeforeSync) { didPersistVote(now: now, into: &effects) }
  }

  func requestVotes(isTransfer: Bool, into effects: inout Effects) {
    let request = VoteRequest(last: log.last, isTransfer: isTransfer)
    askVoters(.voteRequest(request), into: &effects)
  }

  private func askVoters(_ body: Message.Body, into effects: inout Effects) {
    for member in membership.members where member.id != id && membership.isVoter(member.id) {
      send(body, to: member.id, into: &effects)
    }
  }

  /// Raft Figure 2, RequestVote.
  ///
  /// A vote that is granted leaves with ``didPersistVote(now:into:)``.
  mutating func vote(
    on request: VoteRequest,
    of candidate: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    let isFree = vote == .zero || vote == candidate || has(.voteTwice)
    let isNew = request.last.isAtLeastAsNew(as: judgedLog) || has(.voteWithoutLogCheck)
    guard isFree, isNew, leadership == nil else {
      return send(.voteReply(granted: false), to: candidate, into: &effects)
    }
    if vote != candidate {
      hardState.vote = candidate
      stageHardState(into: &effects)
    }
    candidacy = nil
    resetElectionTimer(now)
    owesVoteReply = true
    if ledger.isHardStateDurable || has(.voteBeforeSync) {
      didPersistVote(now: now, into: &effects)
    }
  }

  /// The vote of this term is on the disk: tells it, to the candidate or to itself.
  mutating func didPersistVote(now: Instant, into effects: inout Effects) {
    if owesVoteReply {
      owesVoteReply = false
      send(.voteReply(granted: true), to: vote, into: &effects)
    } else if let candidacy, case .vote(let isTransfer) = candidacy.kind,
      candidacy.granted.isEmpty
    {
      requestVotes(isTransfer: isTransfer, into: &effects)
      countVote(from: id, now: now, into: &effects)
    }
  }

  mutating func countVote(from voter: NodeID, now: Instant, into effects: inout Effects) {
    guard case .vote = candidacy?.kind else { return }
    if grantedQuorum(with: voter) { becomeLeader(now: now, into: &effects) }
  }

  private mutating func grantedQuorum(with voter: NodeID) -> Bool {
    candidacy?.grant(by: voter)
    guard let granted = candidacy?.granted else { return false }
    return has(.countLearner)
      ? granted.count * 2 > membership.members.count
      : hasQuorum { granted.contains($0) }
  }

  /// Leaves what it was: in a newer term, or in its own when it gives up.
  mutating func becomeFollower(in newTerm: Term, now: Instant, into effects: inout Effects) {
    precondition(newTerm >= term, "terms never fall")
    if leadership != nil { resetElectionTimer(now) }
    forgetLeader(into: &effects)
    failLeaderReads(into: &effects)
    leadership = nil
    candidacy = nil
    effects.leaderChanged = true
    guard newTerm > term else { return }
    hardState = HardState(term: newTerm)
    owesVoteReply = false
    stageHardState(into: &effects)
  }

  /// Gives up leadership or candidacy in this term: the shell asks for it when it can't go on.
  package mutating func stepDown(now: Instant, into effects: inout Effects) {
    guard leadership != nil || candidacy != nil else { return }
    becomeFollower(in: term, now: now, into: &effects)
    checkInvariants()
  }

  private mutating func forgetLeader(into effects: inout Effects) {
    guard let following else { return }
    for read in following.reads { effects.readsFailed.append(read.id) }
    if settings.leaseReads {
      // A lease counts on this node's loyalty even where it has moved on to a newer term.
      loyalUntil = max(loyalUntil, following.heardAt.advanced(by: settings.loyalty))
    }
    self.following = nil
    effects.leaderChanged = true
  }

  /// Raft §5.2: a random wait, so that rarely two nodes campaign at once.
  ///
  /// A node that should not lead, or has no vote, waits much longer: it is needed if no other can lead.
  mutating func resetElectionTimer(_ now: Instant) {
    let shortest = settings.electionTimeout.lowerBound.wholeNanoseconds
    let longest = settings.electionTimeout.upperBound.wholeNanoseconds
    let wait = shortest == longest ? shortest : random.draw(from: shortest...longest)
    electionDeadline = now.advanced(byNanoseconds: wait)
    if membership[id]?.priority == 0 || !membership.isVoter(id) {
      electionDeadline = electionDeadline.advanced(by: settings.electionTimeout.upperBound * 4)
    }
  }
}
