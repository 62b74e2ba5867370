package import RoostWire

// Thesis §4.2 and §4.3: one mechanism for every change. What is asked for is the whole new membership;
// the leader takes it through `catchingUp` and `joint` to `settled`, each phase one log entry.

/// A membership and the entry that put it in force.
struct PlacedMembership: Hashable, Sendable {
  let index: LogIndex
  let membership: Membership

  /// The memberships of a restored log, the snapshot's first.
  static func all(in restored: Restored) -> [PlacedMembership] {
    var placed = [
      PlacedMembership(index: restored.mark.index, membership: restored.mark.membership)
    ]
    for entry in restored.entries where entry.index > restored.mark.index {
      guard let membership = entry.membership else { continue }
      placed.append(PlacedMembership(index: entry.index, membership: membership))
    }
    return placed
  }
}

/// Why a change of the membership was not begun.
///
/// Nothing of it is in the log.
package enum ChangeRefusal: Error, Equatable {
  case notLeader(hint: NodeID)
  case transferring(to: NodeID)
  /// The leader does not know yet what is committed; ask again in a moment.
  case notEstablished
  /// Another change is under way. One that is catching up can be replaced, a joint one can't.
  case changeUnderWay
  /// The membership is not the one that the change was meant for.
  case otherVersion(current: UInt64)
  /// Too few of the future voters are alive to decide anything.
  case wouldLoseQuorum
  /// The id belongs to a member with another journal: remove that one first, or take a new id.
  case idInUse(NodeID)
  /// The asked membership breaks a rule of its own.
  case unsound(String)
  /// It is so already.
  case nothingToChange
}

extension Consensus {
  /// The newest membership in the log, committed or not: it is in force (thesis §4.1).
  package var membership: Membership { memberships[memberships.count - 1].membership }

  package var isMembershipCommitted: Bool {
    memberships[memberships.count - 1].index <= commitIndex
  }

  package var isMember: Bool { membership.contains(id, incarnation) }

  /// Begins to make `members` the whole cluster: whoever is not among them leaves.
  ///
  /// The change goes on by itself, under later leaders too. Future voters first learn the log; until the
  /// joint phase begins another change may take its place.
  ///
  /// - Parameters:
  ///   - members: Each with the goal to vote or to learn.
  ///   - version: The version of the membership that the caller has seen.
  ///   - now: The moment of the call.
  ///   - effects: What is to be done.
  /// - Returns: Where the first entry of the change stands in the log.
  /// - Throws: ``ChangeRefusal`` if nothing was begun.
  @discardableResult
  package mutating func change(
    to members: [Member],
    ifVersion version: UInt64,
    now: Instant,
    into effects: inout Effects
  ) throws(ChangeRefusal) -> LogPosition {
    guard let leadership else { throw .notLeader(hint: leader) }
    if let transfer = leadership.transfer { throw .transferring(to: transfer.target) }
    // Thesis §4.1, and the bug of 2015: nothing may begin before this term has a committed entry.
    guard isEstablished || has(.changeBeforeCommit) else { throw .notEstablished }
    guard isMembershipCommitted || has(.changeBeforeCommit), membership.phase != .joint else {
      throw .changeUnderWay
    }
    guard membership.version == version else { throw .otherVersion(current: membership.version) }
    let next = try planned(members)
    guard keepsQuorum(next, now) else { throw .wouldLoseQuorum }
    defer { checkInvariants() }
    return propose(next, now: now, into: &effects)
  }

  /// The first membership on the way to `members`.
  private func planned(_ members: [Member]) throws(ChangeRefusal) -> Membership {
    guard members.count <= Membership.memberLimit else { throw .unsound("too many members") }
    var planned: [Member] = []
    for asked in members.sorted(by: { $0.id < $1.id }) {
      guard asked.goal != .gone else { throw .unsound("leave out who shall go") }
      guard asked.id != planned.last?.id else { throw .unsound("a member is named twice") }
      var member = asked
      if let present = membership[asked.id] {
        guard present.incarnation == asked.incarnation else { throw .idInUse(asked.id) }
        member.votes = present.votes
      }
      planned.append(member)
    }
    for present in membership.members where !members.contains(where: { $0.id == present.id }) {
      guard present.votes else { continue }
      var member = present
      member.goal = .gone
      planned.append(member)
    }
    planned.sort { $0.id < $1.id }
    guard planned.contains(where: { $0.goal == .voter && $0.priority > 0 }) else {
      throw .unsound("nobody could lead")
    }
    guard planned != membership.members else { throw .nothingToChange }
    let next = Membership(
      version: membership.version + 1,
      phase: Membership.firstPhase(towards: planned),
      members: planned
    )
    guard planned.count <= Membership.memberLimit else { throw .unsound("too many members") }
    if let problem = next.problem { throw .unsound(problem) }
    return next
  }

  /// Whether a majority of the future voters lives; those who are new must show it before they vote.
  private func keepsQuorum(_ next: Membership, _ now: Instant) -> Bool {
    var tally = Tally()
    for member in next.members where member.goal == .voter {
      tally.count(isAlive(member.id, now) || membership[member.id] == nil)
    }
    return tally.isMajority
  }

  /// Whether the member has answered anything lately.
  func isAlive(_ member: NodeID, _ now: Instant) -> Bool {
    if member == id { return true }
    guard let leadership, let slot = leadership.slot(of: member),
      let heardAt = leadership.progress[slot].heardAt
    else { return false }
    return now < heardAt.advanced(by: settings.electionTimeout.upperBound)
  }

  @discardableResult
  private mutating func propose(
    _ next: Membership,
    now: Instant,
    into effects: inout Effects
  ) -> LogPosition {
    appendOwn(.membership, next.encoded(), now: now, into: &effects)
  }

  // MARK: The change goes on

  /// Takes the next step of a change once the step before is committed.
  mutating func advanceMembership(now: Instant, into effects: inout Effects) {
    guard leadership != nil, isEstablished, isMembershipCommitted || has(.leaveJointEarly) else {
      return
    }
    switch membership.phase {
    case .settled:
      if !membership.isVoter(id) { leave(now: now, into: &effects) }
    case .catchingUp:
      let future = membership.members.filter { $0.goal == .voter }
      guard future.allSatisfy({ $0.votes || keepsUp($0.id, now) }) else { return }
      guard keepsQuorum(membership, now) else { return }
      propose(membership.step(to: .joint), now: now, into: &effects)
    case .joint:
      propose(membership.settled(), now: now, into: &effects)
    }
  }

  private func keepsUp(_ member: NodeID, _ now: Instant) -> Bool {
    if member == id { return true }
    guard let leadership, let slot = leadership.slot(of: member) else { return false }
    return leadership.progress[slot].catchUp?.isDone == true && isAlive(member, now)
  }

  /// Thesis §4.2.2: a leader that is no voter any more leads until that is committed, and hands over.
  private mutating func leave(now: Instant, into effects: inout Effects) {
    if let heir = bestSuccessor(now) { send(.campaignNow, to: heir, into: &effects) }
    becomeFollower(in: term, now: now, into: &effects)
  }

  /// Looks, after a member's answer, whether a future voter has finished a round in time.
  mutating func didProgress(_ slot: Int, now: Instant, into effects: inout Effects) {
    handOver(now: now, into: &effects)
    guard let progress = leadership?.progress[slot], var catchUp = progress.catchUp else { return }
    guard !catchUp.isDone, progress.match >= catchUp.target else { return }
    let took = now.nanoseconds(since: catchUp.startedAt)
    catchUp.isDone = took <= settings.loyalty.wholeNanoseconds
    catchUp.target = log.lastIndex
    catchUp.startedAt = now
    leadership?.progress[slot].catchUp = catchUp
    if catchUp.isDone { advanceMembership(now: now, into: &effects) }
  }

  /// With each heartbeat: a future voter that fell silent has to show again that it keeps up.
  mutating func reviewMembers(now: Instant, into effects: inout Effects) {
    guard let leadership, membership.phase == .catchingUp else { return }
    for slot in leadership.progress.indices {
      guard let catchUp = leadership.progress[slot].catchUp, catchUp.isDone else { continue }
      if !isAlive(leadership.progress[slot].id, now) {
        self.leadership?.progress[slot].catchUp = CatchUp(target: log.lastIndex, startedAt: now)
      }
    }
    advanceMembership(now: now, into: &effects)
  }

  /// Makes the leader's list of members that of the membership in force.
  ///
  /// Who leaves is kept until that is committed, so that it learns of its leave and rests.
  mutating func alignProgress(now: Instant) {
    guard let leadership else { return }
    var progress: [Progress] = []
    for member in membership.members {
      var one = Progress(member, next: log.lastIndex.next)
      if let slot = leadership.slot(of: member.id),
        leadership.progress[slot].incarnation == member.incarnation
      {
        one = leadership.progress[slot]
      }
      one.votes = member.votes || (has(.countLearner) && !membership.isVoter(member.id))
      one.decidesAnew = membership.decidesAnew(member)
      if has(.ignoreOldVoters), membership.phase == .joint { one.votes = one.decidesAnew }
      if member.id == id {
        one.confirmedRound = .max
        one.didMatch(ledger.durableIndex)
      } else if member.goal == .voter, !member.votes, membership.phase == .catchingUp {
        if one.catchUp == nil { one.catchUp = CatchUp(target: log.lastIndex, startedAt: now) }
      } else {
        one.catchUp = nil
      }
      progress.append(one)
    }
    if !isMembershipCommitted {
      for var one in leadership.progress where !progress.contains(where: { $0.id == one.id }) {
        one.votes = false
        one.decidesAnew = false
        progress.append(one)
      }
      progress.sort { $0.id < $1.id }
    }
    self.leadership?.progress = progress
    // New voters may not have answered a round yet.
    self.leadership?.countsSilenceFrom = now
  }

  func hasQuorum(where holds: (NodeID) -> Bool) -> Bool {
    membership.hasQuorum(where: holds)
  }

  /// Another membership is in force, by an entry that came or by one that was cut off.
  mutating func didChangeMembership(into effects: inout Effects) {
    effects.membershipChanged = true
    if candidacy != nil, !mayCampaign {
      candidacy = nil
      effects.leaderChanged = true
    }
  }

  /// The newest committed membership and those after it: one of them decides what will be committed.
  var possibleMemberships: ArraySlice<PlacedMembership> {
    let newest = memberships.lastIndex { $0.index <= commitIndex } ?? 0
    return memberships[newest...]
  }

  /// Forgets memberships that only compacted entries were under.
  mutating func forgetOldMemberships() {
    let base = min(log.base.index, commitIndex)
    if let newest = memberships.lastIndex(where: { $0.index <= base }), newest > 0 {
      memberships.removeFirst(newest)
    }
  }

  /// The membership in force was committed: who has left is told so and let go.
  mutating func didCommitMembership(now: Instant, into effects: inout Effects) {
    sendHeartbeats(into: &effects) { !$0.votes && !$0.decidesAnew }
    alignProgress(now: now)
  }
}

extension Membership {
  static func firstPhase(towards members: [Member]) -> MembershipPhase {
    if members.contains(where: { $0.goal == .voter && !$0.votes }) { return .catchingUp }
    return members.contains { $0.votes && $0.goal != .voter } ? .joint : .settled
  }

  func step(to phase: MembershipPhase) -> Membership {
    Membership(version: version + 1, phase: phase, members: members)
  }

  /// The membership that a joint one leads to.
  func settled() -> Membership {
    var next = step(to: .settled)
    next.members.removeAll { $0.goal == .gone }
    for index in next.members.indices {
      next.members[index].votes = next.members[index].goal == .voter
    }
    return next
  }
}
