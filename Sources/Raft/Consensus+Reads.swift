package import RoostWire

// Thesis §6.4: reads without the log. A leader proves that it still leads by a round that began after
// the read came, and that all reads waiting at that moment share; a follower asks it for the index.

extension Consensus {
  /// Asks from which index on the state may answer a linearizable read.
  ///
  /// The answer is in ``Effects/readsReady`` or ``Effects/readsFailed``, soon or once a leader is
  /// lost. An id is used for one question only; whoever asks again takes a new one.
  package mutating func read(_ id: ReadID, now: Instant, into effects: inout Effects) {
    defer { checkInvariants() }
    if leadership != nil {
      if let index = leaseIndex(now) {
        effects.readsReady.append(ReadyRead(id: id, index: index))
      } else if !wait(for: .local(id), now: now, into: &effects) {
        effects.readsFailed.append(id)
      }
    } else if let following, following.reads.count < settings.waitingReadLimit {
      readSequence &+= 1
      self.following?.reads.append(AskedRead(id: id, sequence: readSequence))
      askLeader(now: now, into: &effects)
    } else {
      effects.readsFailed.append(id)
    }
  }

  // MARK: The leader

  mutating func read(
    for follower: NodeID,
    _ ticket: ReadTicket,
    now: Instant,
    into effects: inout Effects
  ) {
    guard leadership != nil else { return }
    if let index = leaseIndex(now) {
      send(.readReply(ticket, index), to: follower, into: &effects)
    } else if !wait(for: .follower(follower, ticket), now: now, into: &effects) {
      send(.readRefused(ticket), to: follower, into: &effects)
    }
  }

  private mutating func wait(
    for source: WaitingRead.Source,
    now: Instant,
    into effects: inout Effects
  ) -> Bool {
    guard let leadership, leadership.reads.count < settings.waitingReadLimit else { return false }
    // Before its opening entry is committed a leader does not know what its predecessors committed;
    // all of that lies before the opening entry (§8).
    let index =
      has(.readBeforeOpening) ? commitIndex : max(commitIndex, leadership.openingIndex)
    let round = has(.reuseReadRound) ? leadership.round : leadership.round &+ 1
    self.leadership?.reads.append(WaitingRead(source: source, index: index, round: round))
    if leadership.readRounds.count < settings.readRoundLimit { beginReadRound(now, &effects) }
    releaseReads(now: now, into: &effects)
    return true
  }

  private mutating func beginReadRound(_ now: Instant, _ effects: inout Effects) {
    beginRound(now: now, into: &effects)
    if let round = leadership?.round { leadership?.readRounds.append(round) }
  }

  /// Takes note of an answered round.
  ///
  /// A round that never was cannot have been answered.
  mutating func confirm(_ round: UInt64, by slot: Int) {
    guard let newest = leadership?.round, let known = leadership?.progress[slot].confirmedRound,
      round <= newest
    else { return }
    leadership?.progress[slot].confirmedRound = max(known, round)
  }

  /// Answers the reads that a quorum has confirmed, and begins the round that the next ones need.
  mutating func releaseReads(now: Instant, into effects: inout Effects) {
    guard let leadership, !leadership.reads.isEmpty else { return }
    let confirmed = has(.readWithoutQuorum) ? UInt64.max : leadership.quorumRound
    var count = 0
    for read in leadership.reads {
      guard read.round <= confirmed else { break }
      answer(read, into: &effects)
      count += 1
    }
    self.leadership?.reads.removeFirst(count)
    self.leadership?.readRounds.removeAll { $0 <= confirmed }
    if count < leadership.reads.count, self.leadership?.readRounds.isEmpty == true {
      beginReadRound(now, &effects)
    }
  }

  private func answer(_ read: WaitingRead, into effects: inout Effects) {
    switch read.source {
    case .local(let id): effects.readsReady.append(ReadyRead(id: id, index: read.index))
    case .follower(let follower, let ticket):
      send(.readReply(ticket, read.index), to: follower, into: &effects)
    }
  }

  /// Followers notice by themselves that their leader is gone.
  func failLeaderReads(into effects: inout Effects) {
    guard let leadership else { return }
    for case .local(let id) in leadership.reads.lazy.map(\.source) {
      effects.readsFailed.append(id)
    }
  }

  /// The index for a read within the lease (thesis §6.4.1), if leases are used and this one holds.
  ///
  /// It counts from when a round was sent, and ends before the first follower that answered the round
  /// may support somebody else, by however much the clocks may differ.
  private func leaseIndex(_ now: Instant) -> LogIndex? {
    guard settings.leaseReads, let leadership, !leadership.hasForfeitedLease, isEstablished else {
      return nil
    }
    let loyalty = settings.loyalty.wholeNanoseconds
    let span = loyalty / 1000 * UInt64(1000 - 2 * settings.clockErrorPermille)
    let heardAt = min(Instant(nanoseconds: leadership.quorumRound), now)
    let end = heardAt.advanced(byNanoseconds: has(.overstayLease) ? span * 2 : span)
    return now < end ? commitIndex : nil
  }

  /// As a leader, when the newest round was sent that a quorum has answered.
  package var quorumHeardAt: Instant? {
    leadership.map { Instant(nanoseconds: $0.quorumRound) }
  }

  // MARK: A follower

  private mutating func askLeader(now: Instant, into effects: inout Effects) {
    guard let following else { return }
    let ticket = ReadTicket(boot: boot, sequence: readSequence)
    send(.readRequest(ticket), to: following.leader, into: &effects)
    if following.askAgainAt == nil {
      self.following?.askAgainAt = now.advanced(by: settings.heartbeatInterval * 2)
    }
  }

  /// The question or its answer may be lost: asks anew, under a new name, for all that wait.
  mutating func askAgain(now: Instant, into effects: inout Effects) {
    following?.askAgainAt = nil
    guard let following, !following.reads.isEmpty else { return }
    readSequence &+= 1
    askLeader(now: now, into: &effects)
  }

  /// The answer to a question is good for every read that came before the question was asked.
  mutating func didAnswerRead(
    _ ticket: ReadTicket,
    _ index: LogIndex,
    from sender: NodeID,
    into effects: inout Effects
  ) {
    for read in takeReads(upTo: ticket, from: sender) {
      effects.readsReady.append(ReadyRead(id: read.id, index: index))
    }
  }

  mutating func didRefuseRead(
    _ ticket: ReadTicket,
    from sender: NodeID,
    into effects: inout Effects
  ) {
    for read in takeReads(upTo: ticket, from: sender) { effects.readsFailed.append(read.id) }
  }

  /// An answer to a question of an earlier start is nobody's.
  private mutating func takeReads(
    upTo ticket: ReadTicket,
    from sender: NodeID
  ) -> ArraySlice<AskedRead> {
    guard let following, following.leader == sender, ticket.boot == boot else { return [] }
    let end = following.reads.firstIndex { $0.sequence > ticket.sequence } ?? following.reads.count
    self.following?.reads.removeFirst(end)
    if self.following?.reads.isEmpty == true { self.following?.askAgainAt = nil }
    return following.reads[..<end]
  }
}
