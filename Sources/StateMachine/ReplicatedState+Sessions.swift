internal import RoostWire

/// Sessions: opened and kept alive through the log, ended by it.
extension ReplicatedState {
  /// The slot of a session that has not ended, not even by a deadline nobody has worked off yet.
  func liveSession(_ id: SessionID) -> UInt32? {
    guard let slot = sessions.slot(of: id.rawValue) else { return nil }
    return sessions.withElement(slot) { session in
      session.isEnding || session.deadline <= time.rawValue
    } ? nil : slot
  }

  /// The deadline of something that starts now and lives for `ttl` milliseconds, or nil if none may.
  func deadline(ttl: UInt64) -> UInt64? {
    guard (StateLimits.shortestTTL...StateLimits.longestTTL).contains(ttl) else { return nil }
    let (sum, overflow) = time.rawValue.addingReportingOverflow(ttl * 1_000_000)
    return overflow ? nil : sum
  }

  mutating func open(_ open: OpenSession, into output: inout AppliedOutput) {
    guard let deadline = deadline(ttl: open.ttl) else { return output.fail(.invalidTTL) }
    guard sessions.count < limits.sessions, sessions.hasRoom else {
      return output.fail(.tooManySessions, detail: UInt64(limits.sessions))
    }
    let slot = sessions.insert { id in
      Session(id: id, ttl: open.ttl * 1_000_000, label: open.label, deadline: deadline)
    }
    let id = sessions.id(ofSlot: slot)
    timers.insert(Timer(time: deadline, kind: .sessionEnd, id: id))
    output.reply(
      .sessionOpened(SessionOpened(session: SessionID(id), ttl: open.ttl, time: time))
    )
  }

  mutating func keepAlive(_ caller: Caller, into output: inout AppliedOutput) {
    guard let slot = caller.slot else { return output.fail(.sessionRequired) }
    let now = time.rawValue
    _ = sessions.update(slot) { session in
      session.deadline = max(session.deadline, now.addingCapped(session.ttl))
    }
    output.reply(.done)
  }

  mutating func close(_ caller: Caller, into output: inout AppliedOutput) {
    guard let slot = caller.slot else { return output.fail(.sessionRequired) }
    end(slot, isClean: true)
    output.reply(.done)
  }

  /// Ends a session: no request of it runs from here on, and clearing away begins.
  mutating func end(_ slot: UInt32, isClean: Bool) {
    _ = sessions.update(slot) { session in
      session.isEnding = true
      session.endsUncleanly = !isClean
      session.replies = StoredReplies()
    }
    timers.insert(
      Timer(time: time.rawValue, kind: .sessionReap, id: sessions.id(ofSlot: slot))
    )
  }

  /// Works off what has become due, in bounded steps; what is left is due at once again.
  mutating func clear(into output: inout AppliedOutput) {
    forgetOneShots(steps: limits.clearingSteps)
    var steps = limits.clearingSteps
    while steps > 0, let timer = timers.first, timer.time <= time.rawValue {
      steps -= 1
      switch timer.kind {
      case .sessionEnd: sessionMayEnd(timer)
      case .sessionReap: reapSession(timer)
      case .leaseEnd, .claimDeadline, .lockRest, .leaseReap, .lockAdvance:
        _ = timers.removeFirst()
      }
    }
  }

  private mutating func sessionMayEnd(_ timer: Timer) {
    guard let slot = sessions.slot(of: timer.id),
      let session = sessions[slot], !session.isEnding
    else {
      _ = timers.removeFirst()
      return
    }
    guard session.deadline == timer.time else {
      return timers.replaceFirst(
        by: Timer(time: session.deadline, kind: .sessionEnd, id: timer.id)
      )
    }
    _ = timers.removeFirst()
    end(slot, isClean: false)
  }

  private mutating func reapSession(_ timer: Timer) {
    _ = timers.removeFirst()
    if let slot = sessions.slot(of: timer.id) { sessions.remove(slot) }
  }
}

extension UInt64 {
  /// The sum, or the greatest number if it is beyond that.
  func addingCapped(_ other: UInt64) -> UInt64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}
