internal import RoostWire

/// Sessions: opened and kept alive through the log, ended by it.
extension ReplicatedState {
  /// The slot of a session that has not ended, not even by a deadline nobody has worked off yet.
  func liveSession(_ id: SessionID) -> UInt32? {
    sessions.liveSlot(of: id.rawValue, at: time.rawValue)
  }

  /// The deadline of something that starts now and lives for `ttl` milliseconds, or nil if none may.
  func deadline(ttl: UInt64) -> UInt64? {
    guard (StateLimits.shortestTTL...StateLimits.longestTTL).contains(ttl) else { return nil }
    let (sum, overflow) = time.rawValue.addingReportingOverflow(ttl * 1_000_000)
    return overflow ? nil : sum
  }

  mutating func open(_ open: OpenSession, into output: inout AppliedOutput) throws(Failure) {
    guard let deadline = deadline(ttl: open.ttl) else {
      throw Failure(.invalidTTL, detail: open.ttl)
    }
    guard sessions.count < limits.sessions, sessions.hasRoom else {
      throw Failure(.tooManySessions, detail: UInt64(limits.sessions))
    }
    let wrong: UInt64? =
      has(.sessionEndsEarly) ? 300_000 : has(.sessionOutlivesItsTime) ? 9_000_000 : nil
    let ttl = open.ttl * (wrong ?? 1_000_000)
    let slot = sessions.insert { id in
      Session(id: id, ttl: ttl, label: open.label, deadline: deadline)
    }
    let id = sessions.id(ofSlot: slot)
    timers.insert(Timer(time: deadline, kind: .sessionEnd, id: id))
    output.reply(
      .sessionOpened(SessionOpened(session: SessionID(id), ttl: open.ttl, time: time))
    )
  }

  mutating func keepAlive(_ caller: Caller, into output: inout AppliedOutput) throws(Failure) {
    guard let slot = caller.slot else { throw Failure(.sessionRequired) }
    let (now, forgets) = (time.rawValue, limits.has(.forgetsRenewals))
    _ = sessions.update(slot) { session in
      guard !forgets else { return }
      session.deadline = max(session.deadline, now.addingCapped(session.ttl))
    }
    output.reply(.done)
  }

  mutating func close(_ caller: Caller, into output: inout AppliedOutput) throws(Failure) {
    guard let slot = caller.slot else { throw Failure(.sessionRequired) }
    end(slot, isClean: true)
    reapSession(slot, into: &output)
    output.reply(.done)
  }

  /// Ends a session: no request of it runs from here on.
  private mutating func end(_ slot: UInt32, isClean: Bool) {
    _ = updateReplies(of: slot) { session in
      session.isEnding = true
      session.endsUncleanly = !isClean
      session.replies = StoredReplies()
    }
  }

  /// Tells what became of a request; one that has not run never will.
  mutating func tell(_ outcome: Outcome, into output: inout AppliedOutput) throws(Failure) {
    let sequence = outcome.sequence.rawValue
    guard let slot = liveSession(outcome.session) else {
      return output.reply(.outcome(.forgotten))
    }
    let firstIncomplete = sessions.withElement(slot) { $0.firstIncomplete }
    guard sequence >= firstIncomplete else { return output.reply(.outcome(.forgotten)) }
    // What is barred is remembered, so no more than a window of it.
    guard sequence - firstIncomplete < limits.requestWindow else {
      throw Failure(.windowExceeded)
    }
    var stored: [UInt8] = []
    let isStored = sessions.withElement(slot) { session in
      session.replies.append(replyTo: sequence, to: &stored)
    }
    if isStored, !has(.outcomeForgotten) { return tell(stored, into: &output) }
    let barred = Reply.failure(Failure(.barred)).encoded()
    _ = updateReplies(of: slot) { $0.store(barred.span, for: sequence) }
    output.reply(.outcome(.barred))
  }

  private func tell(_ stored: [UInt8], into output: inout AppliedOutput) {
    if stored == Reply.failure(Failure(.barred)).encoded() {
      return output.reply(.outcome(.barred))
    }
    // A lock that is still awaited: success, kind 9, state 0.
    if stored.count > 3, stored[0] == 0, stored[1] == 0, stored[2] == 9, stored[3] == 0 {
      return output.reply(.outcome(.waiting))
    }
    output.replyBytes.append(contentsOf: [0, 0, 11, 0])
    output.replyBytes.append(prefixed: stored)
  }
}

/// Time: what has become due is worked off, a bounded number of steps an entry.
extension ReplicatedState {
  /// Works off what is due; what is left then is due at once again.
  mutating func clear(into output: inout AppliedOutput) {
    forgetOneShots(steps: limits.clearingSteps)
    stepsLeft = limits.clearingSteps
    while stepsLeft > 0, let timer = timers.first, timer.time <= time.rawValue {
      stepsLeft -= 1
      switch timer.kind {
      case .sessionEnd: sessionMayEnd(timer)
      case .leaseEnd: leaseMayEnd(timer)
      case .sessionReap:
        _ = timers.removeFirst()
        guard let slot = sessions.slot(of: timer.id) else { continue }
        reapSession(slot, into: &output)
      case .leaseReap:
        if let slot = leases.slot(of: timer.id) {
          reapLease(timer, slot)
        } else {
          _ = timers.removeFirst()
        }
      case .claimDeadline:
        _ = timers.removeFirst()
        endWait(timer, into: &output)
      case .lockRest, .lockAdvance:
        _ = timers.removeFirst()
        advance(timer, into: &output)
      }
    }
  }

  /// Takes timers from the front that wait for nothing, so that ``nextDeadline`` is a real one.
  mutating func settleTimers() {
    for _ in 0..<limits.clearingSteps {
      guard let timer = timers.first, timer.time > time.rawValue else { return }
      guard let actual = actualTime(of: timer) else {
        _ = timers.removeFirst()
        continue
      }
      guard actual > timer.time else { return }
      timers.replaceFirst(by: Timer(time: actual, kind: timer.kind, id: timer.id))
    }
  }

  /// When a timer should come up as things are now, or nil if never.
  private func actualTime(of timer: Timer) -> UInt64? {
    switch timer.kind {
    case .sessionEnd:
      guard let slot = sessions.slot(of: timer.id) else { return nil }
      return sessions.withElement(slot) { $0.isEnding ? nil : $0.deadline }
    case .leaseEnd:
      guard let slot = leases.slot(of: timer.id) else { return nil }
      return leases.withElement(slot) { $0.isEnding ? nil : $0.deadline }
    case .claimDeadline:
      guard let slot = locks.claims.slot(of: timer.id) else { return nil }
      return locks.claims.withElement(slot) { $0.isWaiting ? timer.time : nil }
    case .lockRest:
      // A rest that was made longer has a timer of its own.
      guard let slot = locks.locks.slot(of: timer.id) else { return nil }
      return locks.locks.withElement(slot) { $0.restsUntil == timer.time ? timer.time : nil }
    case .lockAdvance:
      return locks.locks.slot(of: timer.id) == nil ? nil : timer.time
    case .sessionReap, .leaseReap: return timer.time
    }
  }

  private mutating func sessionMayEnd(_ timer: Timer) {
    guard let slot = sessions.slot(of: timer.id),
      let (deadline, isEnding) = sessions[slot].map({ ($0.deadline, $0.isEnding) }), !isEnding
    else {
      _ = timers.removeFirst()
      return
    }
    guard deadline <= timer.time else {
      return timers.replaceFirst(by: Timer(time: deadline, kind: .sessionEnd, id: timer.id))
    }
    timers.replaceFirst(by: Timer(time: time.rawValue, kind: .sessionReap, id: timer.id))
    end(slot, isClean: false)
  }

  /// Takes away what an ended session leaves behind, in steps, and then itself.
  private mutating func reapSession(_ slot: UInt32, into output: inout AppliedOutput) {
    let id = sessions.id(ofSlot: slot)
    let rests = sessions.withElement(slot) { $0.endsUncleanly }
    stepsLeft = max(stepsLeft, 1)
    while stepsLeft > 0 {
      let claim = sessions.withElement(slot) { $0.firstClaim }
      guard claim != LockTable.none else { break }
      stepsLeft -= LockTable.stepsALock * (locks.claims[claim]?.partCount ?? 1)
      removeClaim(claim, rests: rests, into: &output)
    }
    if stepsLeft > 0, limits.has(.leavesOrphans) || removeKeys(of: id) {
      sessions.remove(slot)
    } else {
      timers.insert(Timer(time: time.rawValue, kind: .sessionReap, id: id))
    }
  }
}

extension UInt64 {
  /// The sum, or the greatest number if it is beyond that.
  func addingCapped(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
