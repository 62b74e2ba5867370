internal import RoostWire

/// An acquire that nobody wants any more, but that the cluster may have executed or may execute yet.
struct GivenUpAcquire: Equatable, Sendable {
  let sequence: SequenceNumber
  /// The lock's name, if it asked for one alone.
  let name: [UInt8]
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

  mutating func note(
    _ call: PendingCall,
    _ result: CallResult,
    now: Instant,
    into effects: inout ClientEffects
  ) {}
}
