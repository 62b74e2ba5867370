package import RoostWire

/// One member's part in Raft: elections, the log, commitment, reads and membership.
///
/// A plain value without clock, dice, disk or network: each input carries the moment it happens, and
/// what shall be done about it is added to an ``Effects``. Two copies that get the same inputs stay
/// equal, so tests and the exhaustive search run the shipped code.
///
/// The core itself withholds what it promises. A vote, a candidate's own vote and an acknowledgement
/// appear only in the answer to ``didPersist(through:now:into:)`` for the write that made them true,
/// so no shell can get that order wrong.
///
/// Read it beside the paper: `+Elections`, `+Following` (a follower's side of replication),
/// `+Replication` (the leader's), `+Reads`, `+Membership`, `+Snapshots`, `+Transfer`, `+Durability`.
package struct Consensus: Hashable, Sendable {
  package internal(set) var id: NodeID
  package let incarnation: Incarnation
  package let settings: Settings

  // Raft Figure 2, persistent state. In memory it may be ahead of the disk by what `ledger` knows.
  var hardState: HardState
  var log: Log
  var ledger: Ledger
  /// A vote was granted and its reply waits for the disk.
  var owesVoteReply = false

  // Volatile state.
  package internal(set) var commitIndex: LogIndex
  /// The memberships in the log and the one before it, with the entries that brought them.
  var memberships: [PlacedMembership]
  /// The newest snapshot on this node's disk.
  package internal(set) var snapshot: SnapshotDescriptor?
  /// See ``Restored/promised``.
  var promised: LogPosition
  /// The newest cluster time that any leader told.
  var heardTime: ClusterTime
  /// The term of the leader that told it.
  var heardTimeIn: Term
  var electionDeadline: Instant
  /// Until then no vote is given, because one given before a restart may support a leader's lease.
  var loyalUntil: Instant
  var boot: UInt64
  var readSequence: UInt64 = 0
  var random: SplitMix64

  // State of one role. At most one of the three is there; a follower that knows no leader has none.
  var following: Following?
  var candidacy: Candidacy?
  var leadership: Leadership?
  /// A snapshot of which parts have come.
  var incoming: IncomingSnapshot?

  #if PLANTED_BUGS
  var flaw: Flaw?
  #endif

  /// Starts a node from what was on its disk.
  ///
  /// `random` must differ from every earlier start's: it tells this start's questions from theirs.
  package init(
    id: NodeID,
    settings: Settings,
    restored: Restored,
    random: SplitMix64,
    now: Instant
  ) {
    precondition(id > .zero, "0 is nobody")
    precondition(
      settings.electionTimeout.lowerBound > settings.heartbeatInterval,
      "times make sense"
    )
    self.id = id
    self.settings = settings
    incarnation = restored.incarnation
    hardState = restored.hardState
    log = Log(restoring: restored)
    ledger = Ledger(durableIndex: log.lastIndex)
    commitIndex = restored.mark.index
    memberships = PlacedMembership.all(in: restored)
    snapshot = restored.snapshot
    precondition(
      restored.incoming.map { $0.snapshot.mark.index > restored.mark.index && !$0.isWhole } ?? true,
      "what had come in part is newer than the snapshot, and not all there"
    )
    incoming = restored.incoming
    promised = restored.promised
    heardTime = log.lastTime
    heardTimeIn = log.lastTerm
    electionDeadline = now
    loyalUntil = settings.leaseReads ? now.advanced(by: settings.loyalty) : now
    self.random = random
    boot = self.random.next()
    // A crash can keep an entry and lose the term that was in the same write. That term has a leader,
    // and this node has no vote left in it.
    if log.lastTerm > hardState.term { hardState = HardState(term: log.lastTerm, vote: id) }
    resetElectionTimer(now)
  }
}

// MARK: - What the shell and the replica see

/// What a node is doing in its term.
package enum Role: String, Sendable {
  case follower, preCandidate, candidate, leader
}

extension Consensus {
  package var term: Term { hardState.term }
  package var vote: NodeID { hardState.vote }

  package var role: Role {
    if leadership != nil { return .leader }
    guard let candidacy else { return .follower }
    return candidacy.kind == .preVote ? .preCandidate : .candidate
  }

  /// The leader of the term, or 0 while none is known.
  package var leader: NodeID { leadership != nil ? id : following?.leader ?? .zero }
  package var isLeader: Bool { leadership != nil }

  /// A leader that has committed an entry of its own term, so knows all that was committed before.
  package var isEstablished: Bool {
    guard let leadership else { return false }
    return commitIndex >= leadership.openingIndex
  }

  package var firstIndex: LogIndex { log.firstIndex }
  package var lastIndex: LogIndex { log.lastIndex }
  package var lastPosition: LogPosition { log.last }
  /// The entries up to here are on this node's disk.
  package var durableIndex: LogIndex { ledger.durableIndex }
  package func entry(at index: LogIndex) -> Entry? { log.entry(at: index) }
  /// The term of an entry that is held, or of the one before the first.
  package func term(at index: LogIndex) -> Term? { log.term(at: index) }
  /// The bytes of the entries behind the commit index.
  package var uncommittedByteCount: Int { log.byteCount(after: commitIndex) }

  /// When ``tick(now:into:)`` is due.
  package var nextDeadline: Instant {
    if let leadership {
      var deadline = leadership.heartbeatDeadline
      if let notice = leadership.noticeDeadline { deadline = min(deadline, notice) }
      if let transfer = leadership.transfer { deadline = min(deadline, transfer.deadline) }
      return deadline
    }
    guard let askAgainAt = following?.askAgainAt else { return electionDeadline }
    return min(electionDeadline, askAgainAt)
  }
}

// MARK: - Inputs: a message, a moment

extension Consensus {
  /// Takes in a message from another node.
  ///
  /// A message never causes an error: the network may delay, repeat or drop it, so the only answer to
  /// one that makes no sense is to ignore it.
  package mutating func step(
    _ message: Message,
    from sender: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    defer { checkInvariants() }
    guard sender != id, sender > .zero, isWelcome(message, from: sender) else { return }
    guard isCurrent(message, from: sender, now: now, into: &effects) else { return }

    switch message.body {
    case .preVoteRequest(let request):
      answerPreVote(request, from: sender, now: now, into: &effects)
    case .preVoteReply(let round, let granted):
      if granted { countPreVote(in: round, from: sender, now: now, into: &effects) }
    case .voteRequest(let request):
      vote(on: request, of: sender, now: now, into: &effects)
    case .voteReply(let granted):
      if granted { countVote(from: sender, now: now, into: &effects) }
    case .append(let request):
      append(request, from: sender, now: now, into: &effects)
    case .heartbeat(let heartbeat):
      hear(heartbeat, from: sender, now: now, into: &effects)
    case .accepted(let acceptance):
      didAccept(acceptance, from: sender, now: now, into: &effects)
    case .rejected(let rejection):
      didReject(rejection, from: sender, now: now, into: &effects)
    case .readRequest(let ticket):
      read(for: sender, ticket, now: now, into: &effects)
    case .readReply(let ticket, let index):
      didAnswerRead(ticket, index, from: sender, into: &effects)
    case .readRefused(let ticket):
      didRefuseRead(ticket, from: sender, into: &effects)
    case .campaignNow:
      takeOver(from: sender, now: now, into: &effects)
    case .snapshotChunk(let chunk):
      receive(chunk, from: sender, now: now, into: &effects)
    case .snapshotReceived(let receipt):
      didReceive(receipt, from: sender, now: now, into: &effects)
    case .newerTerm:
      break
    }
  }

  /// Answers of nodes that are not members, or were in an earlier life, count for nothing.
  ///
  /// Requests are judged by their content: a node that has fallen behind may not know the newer
  /// members (thesis §4.1).
  private func isWelcome(_ message: Message, from sender: NodeID) -> Bool {
    guard message.isReply, !has(.ignoreIncarnation) else { return true }
    if let slot = leadership?.slot(of: sender) {
      return leadership?.progress[slot].incarnation == message.incarnation
    }
    return membership.contains(sender, message.incarnation)
  }

  /// Raft §5.1: a newer term always wins; an older one is told so, which ends its leadership.
  private mutating func isCurrent(
    _ message: Message,
    from sender: NodeID,
    now: Instant,
    into effects: inout Effects
  ) -> Bool {
    switch message.body {
    case .preVoteRequest:
      return true
    case .voteRequest(let request) where isLoyal(now) && !request.isTransfer:
      // Thesis §4.2.3: a node that hears a leader does not let others disturb it.
      return false
    default: break
    }
    if message.term > term, !(message.isReply && has(.ignoreTermOfReplies)) {
      becomeFollower(in: message.term, now: now, into: &effects)
    }
    if case .preVoteReply = message.body { return true }
    if message.term < term { answerOldTerm(message, to: sender, into: &effects) }
    return message.term == term
  }

  private func answerOldTerm(_ message: Message, to sender: NodeID, into effects: inout Effects) {
    switch message.body {
    case .append, .heartbeat, .snapshotChunk, .voteRequest:
      send(.newerTerm, to: sender, into: &effects)
    default: break
    }
  }

  /// Lets time pass: call it when ``nextDeadline`` has come, or at any time.
  package mutating func tick(now: Instant, into effects: inout Effects) {
    defer { checkInvariants() }
    if leadership != nil {
      tickLeader(now: now, into: &effects)
    } else {
      tickFollower(now: now, into: &effects)
    }
  }

  /// Acts as if the timer of the node's role had run out, whatever the clock says.
  ///
  /// For the exhaustive search and for scripts, in which time stands still.
  package mutating func expireTimer(now: Instant, into effects: inout Effects) {
    defer { checkInvariants() }
    if leadership != nil {
      beginRound(now: now, into: &effects)
    } else {
      electionTimeout(now: now, into: &effects)
    }
  }

  private mutating func tickFollower(now: Instant, into effects: inout Effects) {
    if let askAgainAt = following?.askAgainAt, now >= askAgainAt {
      askAgain(now: now, into: &effects)
    }
    guard now >= electionDeadline else { return }
    if now >= electionDeadline.advanced(by: settings.loyalty) {
      // This node slept through its deadline. What its leader sent meanwhile may still wait to be read.
      return resetElectionTimer(now)
    }
    electionTimeout(now: now, into: &effects)
  }

  func send(_ body: Message.Body, to recipient: NodeID, into effects: inout Effects) {
    let message = Message(term: term, incarnation: incarnation, body: body)
    effects.messages.append(Envelope(recipient: recipient, message: message))
  }
}

extension Message {
  /// Answers something that a leader or candidate sent to its members.
  var isReply: Bool {
    switch body {
    case .preVoteReply, .voteReply, .accepted, .rejected, .newerTerm, .snapshotReceived: true
    case .preVoteRequest, .voteRequest, .append, .heartbeat, .campaignNow, .snapshotChunk,
      .readRequest, .readReply, .readRefused:
      false
    }
  }
}

extension Log {
  /// The log as the disk has it.
  ///
  /// Entries before the snapshot's mark are kept for slow followers.
  init(restoring restored: Restored) {
    let mark = restored.mark
    guard let first = restored.entries.first else {
      self.init(base: mark.position, time: mark.time)
      return
    }
    precondition(first.index <= mark.index.next, "no gap between snapshot and log")
    if first.index == mark.index.next {
      self.init(base: mark.position, time: mark.time)
      for entry in restored.entries { append(entry) }
    } else {
      self.init(base: first.position, time: first.time)
      for entry in restored.entries.dropFirst() { append(entry) }
      precondition(contains(mark.position), "the log agrees with its snapshot")
    }
  }
}
