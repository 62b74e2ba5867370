// RoostReplica: one node without I/O.
//
// Owns how the parts meet: `Consensus` orders batches of requests, `ReplicatedState` says what they mean, and those
// who asked get their answers. Requests of one turn become one log entry, reads of one turn one question for the read
// index.
//
// Leaves bytes on connections to `Node`, files to `Journal`; the simulator performs the same effects with virtual ones.

package import RoostRaft
package import RoostStateMachine
package import RoostWire

/// How much a replica takes on for its clients.
package struct ReplicaLimits: Sendable {
  /// Watches of all clients of this node.
  package var watches = 100_000
  package var watchesOfConnection = 10_000

  package init() {}
}

/// One node without I/O: inputs in, ``ReplicaEffects`` out.
///
/// Inputs of a turn only gather; ``finishTurn(now:into:)`` lets them take effect: one proposal for all requests, one question
/// for all reads. Then ``applyCommitted(now:into:)`` applies and answers what is committed.
package struct Replica: Sendable {
  /// How many bytes of entries one turn applies; the last entry may go beyond.
  ///
  /// Between two such steps the node looks at its sockets and its disk: followers acknowledge, replies leave and the
  /// next requests come in while a long batch is applied.
  package static let applyByteLimit = 64 << 10
  /// How many bytes of entries are applied before the next snapshot is written, unless a node is told otherwise.
  ///
  /// Above it the size of the newest snapshot decides. A restart goes through so much log in about a second.
  package static let defaultSnapshotByteCount = 256 << 20
  /// How many bytes of applied entries stay in memory for followers that are a little behind.
  static let keptByteCount = 32 << 20
  /// How many changes are looked at in one turn for watches that are behind.
  static let catchUpSteps = 1000
  /// How many steps one turn tells those who keep up, about five an event for all watches of a connection that want the same: a
  /// thousand connections are told in one turn.
  static let tellingSteps = 5000
  /// How many of its own entries a leader writes at once; while they are on their way to the disk, the next batch fills.
  static let unsyncedProposalLimit = 2

  package internal(set) var consensus: Consensus
  package internal(set) var state: ReplicatedState
  /// The last entry that ``state`` contains.
  package internal(set) var applied: LogIndex
  var committed: LogIndex
  /// What the consensus has asked for since the last turn's end.
  var asked = Effects()

  var batch = OpenBatch()
  /// Batches in the log whose requests wait here for their replies, in the order of the log.
  var proposed: [ProposedBatch] = []
  /// Tickets of writes with own proposals that are not on the disk yet.
  var unsynced: [WriteTicket] = []
  var reads = ReadTable()
  var forwards: ForwardTable
  var output = AppliedOutput()
  let snapshotByteCount: Int
  var plan = SnapshotPlan()
  /// False while the disk has room for votes, terms and the handing over of leadership alone: clients' requests are refused.
  package var admitsRequests = true
  /// Whether the node is about to end: what was accepted is finished, and nothing more is.
  package var isStopping = false
  /// Operators whose requests are not fulfilled yet.
  var waitingAdmin: [WaitingAdmin] = []
  /// The watches of this node's clients, beside ``state``.
  var watches: WatchTable
  /// When watches that are behind were last told something.
  var caughtUpAt = Instant(nanoseconds: 0)
  package var limits = ReplicaLimits()
  /// The snapshot that has to be loaded before anything more is applied.
  var loading: SnapshotDescriptor?
  /// When this node last heard a leader, or as a leader last was one with a quorum behind it.
  var heardAt: Instant
  /// When this node last heard the leader that it follows; nil: not since its start.
  var leaderHeardAt: Instant?
  var reported = LeaderReport()
  #if PLANTED_BUGS
  var flaw: ReplicaFlaw?
  #endif

  package init(
    id: NodeID,
    settings: Settings,
    restored: Restored,
    state: ReplicatedState,
    random: SplitMix64,
    now: Instant,
    snapshotByteCount: Int = Replica.defaultSnapshotByteCount
  ) {
    precondition(state.appliedIndex <= restored.mark.index, "the state is that of the mark")
    var random = random
    forwards = ForwardTable(random: &random)
    consensus = Consensus(id: id, settings: settings, restored: restored, random: random, now: now)
    self.state = state
    watches = WatchTable(beside: state)
    self.snapshotByteCount = snapshotByteCount
    applied = restored.mark.index
    plan.newest = restored.mark.index
    plan.newestByteCount = Int(restored.snapshot?.byteCount ?? 0)
    committed = restored.mark.index
    heardAt = now
  }

  package var id: NodeID { consensus.id }
  /// The leader, or 0 while none is known.
  package var leader: NodeID { consensus.leader }

  /// The cluster's time as this node knows it.
  package mutating func clusterTime(now: Instant) -> ClusterTime {
    consensus.clusterTime(now: now)
  }

  /// When ``tick(now:)`` and ``finishTurn(now:into:)`` are due at the latest.
  package var nextDeadline: Instant {
    // What is committed and not applied is work that waits for nothing, and so is what watches have missed.
    if applied < committed, loading == nil { return Instant(nanoseconds: 0) }
    if watches.hasWork { return Instant(nanoseconds: 0) }
    return min(consensus.nextDeadline, forwards.nextExpiry)
  }

  /// Lets time pass.
  package mutating func tick(now: Instant) {
    if now >= consensus.nextDeadline { consensus.tick(now: now, into: &asked) }
  }

  /// Takes in a message of the protocol.
  package mutating func receive(_ message: Message, from member: NodeID, now: Instant) {
    consensus.step(message, from: member, now: now, into: &asked)
    guard member == consensus.leader else { return }
    heardAt = now
    leaderHeardAt = now
  }

  /// The writes up to this ticket are on the disk for good.
  package mutating func didPersist(through ticket: WriteTicket, now: Instant) {
    unsynced.removeAll { $0 <= ticket }
    consensus.didPersist(through: ticket, now: now, into: &asked)
  }

  /// Lets everything that the turn brought take effect on the protocol: what is to be sent and written comes out.
  ///
  /// ``applyCommitted(now:into:)`` is the turn's other half. The shell sends and begins to write before it calls that, so that disks and
  /// other members work meanwhile.
  package mutating func finishTurn(now: Instant, into effects: inout ReplicaEffects) {
    let kept = min(snapshotByteCount, Self.keptByteCount)
    consensus.forget(keeping: kept, through: applied, now: now)
    if asked.leaderChanged { leadershipChanged(into: &effects) }
    giveUpLostForwards(now: now, into: &effects)
    proposeTime(now: now)
    proposeBatch(now: now, into: &effects)
    askForReads(now: now)
    if asked.leaderChanged { leadershipChanged(into: &effects) }
    takeAsked(into: &effects)
    if consensus.isLeader { heardAt = now }
  }

  /// Applies what is committed, as far as one turn may, and answers those who waited for it.
  ///
  /// What is left is due at once (``nextDeadline``).
  package mutating func applyCommitted(
    now: Instant,
    byteLimit: Int = Replica.applyByteLimit,
    into effects: inout ReplicaEffects
  ) {
    applyEntries(byteLimit: byteLimit, into: &effects)
    planSnapshot(now: now, into: &effects)
    advanceWatches(now: now, into: &effects)
    answerReads(into: &effects)
    answerAdmin(into: &effects)
  }

  /// Moves what the consensus asked for to where it is performed.
  private mutating func takeAsked(into effects: inout ReplicaEffects) {
    effects.snapshotReads += asked.snapshotReads
    effects.snapshotChunks += asked.snapshotChunks
    if let snapshot = asked.snapshotToLoad {
      loading = snapshot
      effects.snapshotToLoad = snapshot
    }
    if asked.membershipChanged { effects.membershipChanged = true }
    if asked.snapshotIsWanted { plan.isWanted = true }
    committed = max(committed, asked.commitIndex ?? .zero)
    effects.messages += asked.messages
    if !asked.write.isEmpty { effects.writes.append(asked.write) }
    reads.didConfirm(asked.readsReady)
    for id in asked.readsFailed { fail(reads.take(id), .noQuorum, into: &effects) }
    asked.removeAll()
  }

  // MARK: Proposing

  /// Proposes the requests that have gathered, unless enough of this node's own entries are under way already.
  private mutating func proposeBatch(now: Instant, into effects: inout ReplicaEffects) {
    guard !batch.isEmpty else { return }
    guard consensus.isLeader else {
      return failBatch(Failure(.notLeader, detail: leader.rawValue), into: &effects)
    }
    guard admitsRequests else { return failBatch(Failure(.diskFull), into: &effects) }
    guard unsynced.count < Self.unsyncedProposalLimit else { return }
    for piece in batch.take() {
      do throws(ProposalRefusal) {
        let position = try consensus.propose(piece.bytes, now: now, into: &asked)
        proposed.append(ProposedBatch(position: position, waiters: piece.waiters))
      } catch {
        for waiter in piece.waiters { answer(waiter, Self.failure(for: error), into: &effects) }
      }
    }
    // All pieces are one write.
    if !asked.write.isEmpty { unsynced.append(asked.write.ticket) }
  }

  private mutating func failBatch(_ failure: Failure, into effects: inout ReplicaEffects) {
    for piece in batch.take() {
      for waiter in piece.waiters { answer(waiter, failure, into: &effects) }
    }
  }

  private static func failure(for refusal: ProposalRefusal) -> Failure {
    switch refusal {
    case .notLeader(let hint): Failure(.notLeader, detail: hint.rawValue)
    case .transferring(let target): Failure(.notLeader, detail: target.rawValue)
    case .tooManyUncommittedBytes: Failure(.busy)
    case .tooLarge(let limit): Failure(.tooLarge, detail: UInt64(limit))
    }
  }

  /// Leases end by the log's time alone: when the next end is due, an entry must carry the time there.
  private mutating func proposeTime(now: Instant) {
    guard consensus.isEstablished, batch.isEmpty, proposed.isEmpty, admitsRequests else { return }
    guard let due = state.nextDeadline, consensus.clusterTime(now: now) >= due else { return }
    guard let position = try? consensus.propose([], now: now, into: &asked) else { return }
    proposed.append(ProposedBatch(position: position, waiters: []))
  }

  // MARK: Applying

  private mutating func applyEntries(byteLimit: Int, into effects: inout ReplicaEffects) {
    var byteCount = 0
    while applied < committed, loading == nil, byteCount < byteLimit {
      let index = LogIndex(applied.rawValue + 1)
      guard let entry = consensus.entry(at: index) else {
        preconditionFailure("a committed entry that is not applied is in the log")
      }
      output.removeAll()
      if has(.entrySkipped), entry.index.rawValue % 100 == id.rawValue {
        applied = index
        continue
      }
      let shift = has(.ownTimeApplied) ? id.rawValue : 0
      let time = ClusterTime(entry.time.rawValue + shift)
      // Of what the protocol itself wrote, only the time means something here.
      let payload = entry.kind == .requests ? entry.payload : []
      state.apply(payload, at: index, time: time, into: &output)
      applied = index
      byteCount += entry.byteCount
      plan.byteCount += entry.byteCount
      routeReplies(to: entry, into: &effects)
      if !output.events.isEmpty { tellSessions(into: &effects) }
    }
  }

  /// Hands the replies to those who asked here, if the entry is the one that they were proposed in.
  private mutating func routeReplies(to entry: Entry, into effects: inout ReplicaEffects) {
    guard let first = proposed.first, first.position.index <= entry.index else { return }
    proposed.removeFirst()
    guard first.position == entry.position || has(.positionNotCompared) else {
      for waiter in first.waiters { answer(waiter, Failure(.leadershipLost), into: &effects) }
      return
    }
    precondition(first.waiters.count <= output.replyCount, "every request has a reply")
    for (place, waiter) in first.waiters.enumerated() {
      let other = has(.repliesRotated) ? (place + 1) % first.waiters.count : place
      let bytes = output.replyBytes.span.extracting(output.replyRange(other))
      answer(waiter, bytes, into: &effects)
    }
  }

  // MARK: Leadership

  /// Nobody here will hear any more what became of requests that this node proposed or handed on.
  ///
  /// They may be committed all the same; whoever asks again under the same identity gets the one reply.
  private mutating func leadershipChanged(into effects: inout ReplicaEffects) {
    let report = LeaderReport(term: consensus.term, leader: leader, role: consensus.role)
    guard report != reported else { return }
    reported = report
    effects.changes.append(report)
    if !consensus.isLeader {
      for batch in proposed where !has(.waitersForgotten) {
        for waiter in batch.waiters { answer(waiter, Failure(.leadershipLost), into: &effects) }
      }
      proposed.removeAll()
      unsynced.removeAll()
    }
    for forward in forwards.takeAll(exceptTo: leader) {
      answer(.client(forward), Failure(.leadershipLost), into: &effects)
    }
  }

  /// Whether nobody waits here for an answer that is still to come.
  package var isIdle: Bool {
    batch.isEmpty && proposed.isEmpty && forwards.isEmpty && reads.isEmpty
  }

  /// Hands leadership to whoever is best placed; false if this node leads and nobody can take over.
  package mutating func handOver(now: Instant) -> Bool {
    do throws(TransferRefusal) {
      try consensus.transferLeadership(now: now, into: &asked)
      return true
    } catch {
      return error != .noSuccessor
    }
  }

  /// Begins to make `members` the whole cluster; only a leader can, and it may refuse.
  package mutating func change(to members: [Member], now: Instant) throws(ChangeRefusal) {
    let version = consensus.membership.version
    try consensus.change(to: members, ifVersion: version, now: now, into: &asked)
  }

  // MARK: Status

  /// How this node is; addresses and what only the shell knows are left empty.
  package func status(now: Instant) -> NodeStatus {
    var status = NodeStatus()
    status.node = id
    status.role =
      switch consensus.role {
      case .leader: .leader
      case .candidate, .preCandidate: .candidate
      case .follower: consensus.membership.isVoter(id) ? .follower : .learner
      }
    status.term = consensus.term
    status.leader = leader
    status.firstIndex = consensus.firstIndex
    status.lastIndex = consensus.lastIndex
    status.committed = committed
    status.applied = applied
    status.revision = state.revision
    status.clusterTime = state.time
    if isOutsider { status.role = .outsider }
    status[.membershipVersion] = consensus.membership.version
    status[.membershipPhase] = UInt64(consensus.membership.phase.rawValue)
    status[.incarnation] = consensus.incarnation.rawValue
    status[.membershipCommitted] = consensus.isMembershipCommitted ? 1 : 0
    status[.stateHash] = state.stateHash
    status.quietNanoseconds = now.nanoseconds(since: heardAt)
    let progress = consensus.memberStatus
    status.members = consensus.membership.members.map { member in
      var summary = MemberSummary(
        id: member.id,
        isVoter: consensus.membership.isVoter(member.id),
        address: String(decoding: member.contact.prefix(MemberSummary.addressLimit), as: UTF8.self),
        matched: progress.first { $0.id == member.id }?.match ?? .zero
      )
      summary.goal = MemberGoal(member.goal)
      summary.priority = member.priority
      summary.incarnation = member.incarnation.rawValue
      return summary
    }
    return status
  }
}
