package import RoostWire

/// An acquire that nobody wants any more, but that the cluster may have executed or may execute yet.
struct GivenUpAcquire: Equatable, Sendable {
  let sequence: SequenceNumber
  /// The lock's name, if it asked for one alone.
  let name: [UInt8]
}

/// A grant that the application holds.
struct HeldGrant: Sendable {
  let token: UInt64
  /// The locks that it still has of those that it was given.
  var names: [[UInt8]]
}

/// Locks: acquires that wait, and acquires that nobody wants any more.
extension ClientMachine {
  // MARK: Waiting

  /// The acquire stands in its queues: an event will say what became of it, over the link that it was sent on.
  mutating func park(_ id: CallID, at index: Int, now: Instant) {
    guard let request = calls[id]?.request else { return }
    calls[id]?.queuedAt = index
    calls[id]?.withoutQuorumSince = nil
    parkedCalls[request.sequence] = id
    move(id, to: .parked)
    updateWindow(of: request.session) { $0.yield(request.sequence) }
    guard case .open(let open) = session else { return }
    // An event may be lost with the node that was to send it.
    alarms.set(id, at: now.advanced(by: max(open.ttl, .seconds(10))))
  }

  /// Acquires whose news would have come from that endpoint ask where they stand, elsewhere.
  mutating func askAgain(for index: Int) {
    var next = calls.first(of: parked)
    while let id = next {
      next = calls.next(after: id)
      if calls[id]?.queuedAt == index { move(id, to: .waiting) }
    }
  }

  mutating func askAgain(_ id: CallID, now: Instant) { move(id, to: .waiting) }

  /// An acquire waits no longer.
  mutating func didResolve(
    _ sequence: SequenceNumber,
    _ reply: Reply,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let id = parkedCalls[sequence] else { return }
    finish(id, with: .answered(reply.encoded()), now: now, into: &effects)
  }

  // MARK: Giving up

  /// Sees to it that an acquire which was given up neither holds nor awaits anything.
  mutating func settle(_ acquire: Acquire, _ request: Outcome, now: Instant) {
    guard isOpen(request.session) else { return }
    let name = acquire.wants.count == 1 ? acquire.wants[0].name : []
    let acquire = GivenUpAcquire(sequence: request.sequence, name: name)
    settle(acquire, with: .outcome(request), now: now)
  }

  private mutating func settle(_ acquire: GivenUpAcquire, with command: Command, now: Instant) {
    guard case .open(let open) = session else { return }
    let patience = now.advanced(by: open.ttl)
    _ = add(.command(command), for: .settle(acquire), deadline: patience, now: now)
  }

  /// Goes on according to what is known now: what was barred is over, what waits is cancelled, what holds is released.
  mutating func didSettle(
    _ acquire: GivenUpAcquire,
    _ call: PendingCall,
    _ result: CallResult,
    now: Instant
  ) {
    guard case .command(let command) = call.kind else { return }
    guard case .answered(let body) = result else {
      // As long as the session lives, so may the claim.
      return settle(acquire, with: command, now: now)
    }
    switch try? Reply(decodingAll: body) {
    case .outcome(.executed(.lock(.granted(let token)))), .lock(.granted(let token)):
      let release = Release(token: token, name: acquire.name)
      settle(acquire, with: .release(release), now: now)
    case .outcome(.waiting), .outcome(.forgotten):
      settle(acquire, with: .cancelAcquire(acquire.sequence), now: now)
    default: break
    }
  }

  // MARK: Holding

  /// Until when the session, and with it every grant, is surely alive by this client's clock; nil without a session.
  package var surelyHeldUntil: Instant? {
    if case .open(let open) = session { open.surelyUntil } else { nil }
  }

  /// Whether a grant is held, as far as this client can prove.
  package func holds(_ token: UInt64) -> Bool { holds.contains { $0.token == token } }

  /// When holders must be told that nothing is proven any more.
  func holdsEnd(_ open: OpenClientSession) -> Instant {
    let lead = (settings.lossLead ?? open.ttl / 10).wholeNanoseconds
    let end = open.surelyUntil.nanoseconds
    return Instant(nanoseconds: end > lead ? end - lead : 0)
  }

  /// Keeps count of what is held, and of the session's end, by what the application's own commands were answered.
  mutating func note(
    _ call: PendingCall,
    _ result: CallResult,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard case .answered(let body) = result, call.pinned == nil else { return }
    if let revision = Reply.revision(in: body) { newestRevision = max(newestRevision, revision) }
    guard case .command(let command) = call.kind else { return }
    switch command {
    case .acquire(let acquire):
      guard case .lock(.granted(let token)) = try? Reply(decodingAll: body) else { return }
      didGrant(token, acquire.wants.map(\.name), to: call, into: &effects)
    case .release(let release): didRelease(release, try? Reply(decodingAll: body))
    case .closeSession:
      guard case .done = try? Reply(decodingAll: body) else { return }
      holds = []
      endSession(now: now, into: &effects)
    default: return
    }
  }

  private mutating func didGrant(
    _ token: UInt64,
    _ names: [[UInt8]],
    to call: PendingCall,
    into effects: inout ClientEffects
  ) {
    guard let request = call.request, isOpen(request.session) else {
      return effects.notices.append(.lockLost(token: token, .sessionEnded))
    }
    // A lock that is taken once more has its token already.
    guard !holds(token) else { return }
    holds.append(HeldGrant(token: token, names: names))
    holds.sort { $0.token < $1.token }
  }

  private mutating func didRelease(_ release: Release, _ reply: Reply?) {
    switch reply {
    case .released(depth: 0), .failure: drop(release.token, release.name)
    default: return
    }
  }

  private mutating func drop(_ token: UInt64, _ name: [UInt8]) {
    guard let place = holds.firstIndex(where: { $0.token == token }) else { return }
    holds[place].names.removeAll { $0 == name }
    if name.isEmpty || holds[place].names.isEmpty { holds.remove(at: place) }
  }

  /// An operator took a grant away; of several locks that were taken together, what is left is worth nothing to their holder.
  mutating func didLose(_ token: UInt64, _ name: [UInt8], into effects: inout ClientEffects) {
    guard let place = holds.firstIndex(where: { $0.token == token }) else { return }
    holds.remove(at: place)
    effects.notices.append(.lockLost(token: token, .forced))
  }

  mutating func loseWhatIsNotProven(
    _ open: OpenClientSession,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard !holds.isEmpty, now >= holdsEnd(open) else { return }
    loseAll(.unproven, into: &effects)
  }

  mutating func loseAll(_ loss: ClientNotice.Loss, into effects: inout ClientEffects) {
    for hold in holds { effects.notices.append(.lockLost(token: hold.token, loss)) }
    holds = []
  }
}
