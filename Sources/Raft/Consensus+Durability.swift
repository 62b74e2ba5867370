package import RoostWire

// What is to be written, and what may be said once it is on the disk (thesis §3.8, §10.2.1).

extension Consensus {
  /// Takes note that the write with this ticket, and all before it, are on the disk for good.
  package mutating func didPersist(
    through ticket: WriteTicket,
    now: Instant,
    into effects: inout Effects
  ) {
    defer { checkInvariants() }
    let wasHardStateDurable = ledger.isHardStateDurable
    ledger.complete(through: ticket)
    if !wasHardStateDurable, ledger.isHardStateDurable {
      didPersistVote(now: now, into: &effects)
    }
    if leadership != nil {
      didPersistOwnEntries(now: now, into: &effects)
    } else {
      acknowledge(into: &effects)
    }
  }

  /// Tells the leader what is on the disk, if it is more than it was told before.
  mutating func acknowledge(into effects: inout Effects) {
    guard let following, acknowledgeable > following.acknowledged else { return }
    sendAcceptance(into: &effects)
  }

  mutating func sendAcceptance(into effects: inout Effects) {
    guard let following else { return }
    let acceptance = Acceptance(
      match: acknowledgeable,
      received: following.verified,
      round: following.round
    )
    self.following?.acknowledged = acceptance.match
    send(.accepted(acceptance), to: following.leader, into: &effects)
  }

  /// On the disk, and compared with this term's leader: only both together make a promise.
  private var acknowledgeable: LogIndex {
    guard let verified = following?.verified else { return .zero }
    return has(.acknowledgeBeforeSync) ? verified : min(ledger.durableIndex, verified)
  }

  // MARK: Staging

  mutating func stageHardState(into effects: inout Effects) {
    openWrite(in: &effects)
    effects.write.hardState = hardState
    ledger.didStageHardState()
  }

  /// Appends to the log in memory and to the write.
  mutating func stage(_ entry: Entry, into effects: inout Effects) {
    log.append(entry)
    openWrite(in: &effects)
    effects.write.entries.append(entry)
    ledger.didStage(through: entry.index)
    if let membership = entry.membership {
      memberships.append(PlacedMembership(index: entry.index, membership: membership))
      didChangeMembership(into: &effects)
    }
  }

  /// Cuts the tail off, in memory and in the write.
  mutating func stageTruncation(from index: LogIndex, into effects: inout Effects) {
    guard insist(index > commitIndex, "what is committed is never cut off") else { return }
    log.truncate(from: index)
    openWrite(in: &effects)
    if !has(.forgetTruncationInLedger) { ledger.didTruncate(from: index) }
    effects.write.entries.removeAll { $0.index >= index }
    effects.write.truncateFrom = min(effects.write.truncateFrom ?? index, index)
    while memberships.count > 1, let last = memberships.last, last.index >= index {
      memberships.removeLast()
      didChangeMembership(into: &effects)
    }
  }

  /// Starts the log anew behind a snapshot, in memory and in the write.
  mutating func stageRestart(behind snapshot: SnapshotDescriptor, into effects: inout Effects) {
    let mark = snapshot.mark
    log = Log(base: mark.position, time: mark.time)
    memberships = [PlacedMembership(index: mark.index, membership: mark.membership)]
    openWrite(in: &effects)
    effects.write.restart = snapshot
    effects.write.truncateFrom = nil
    effects.write.entries.removeAll(keepingCapacity: true)
    ledger.didRestart(behind: mark.index)
    didChangeMembership(into: &effects)
  }

  private mutating func openWrite(in effects: inout Effects) {
    if effects.write.isEmpty { effects.write.ticket = ledger.open() }
    precondition(
      effects.write.ticket == ledger.newestTicket,
      "effects of an earlier turn were kept"
    )
  }
}
