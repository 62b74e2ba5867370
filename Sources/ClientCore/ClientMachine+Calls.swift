internal import RoostWire

/// Calls: how they are sent, answered, tried again and ended.
extension ClientMachine {
  // MARK: Queues

  /// Puts a call that is to be sent into its queue.
  mutating func place(_ id: CallID) {
    guard let call = calls[id] else { return }
    if let pinned = call.pinned {
      move(id, to: .pinned(pinned))
    } else if needsNumber(call) {
      move(id, to: .held)
    } else {
      move(id, to: .waiting)
    }
  }

  mutating func move(_ id: CallID, to place: PendingCall.Place) {
    guard let old = calls[id]?.place else { return }
    switch old {
    case .none: break
    case .waiting: calls.remove(id, from: &waiting)
    case .held: calls.remove(id, from: &held)
    case .paused: calls.remove(id, from: &paused)
    case .parked:
      if let index = calls[id]?.queuedAt { endpoints[index].listenerCount -= 1 }
      calls.remove(id, from: &parked)
    case .pinned(let index): calls.remove(id, from: &endpoints[index].pinned)
    case .sent(let index): calls.remove(id, from: &endpoints[index].sent)
    }
    calls[id]?.place = place
    switch place {
    case .none: break
    case .waiting: calls.append(id, to: &waiting)
    case .held: calls.append(id, to: &held)
    case .paused: calls.append(id, to: &paused)
    case .parked:
      if let index = calls[id]?.queuedAt { endpoints[index].listenerCount += 1 }
      calls.append(id, to: &parked)
    case .pinned(let index): calls.append(id, to: &endpoints[index].pinned)
    case .sent(let index): calls.append(id, to: &endpoints[index].sent)
    }
  }

  // MARK: Sending

  mutating func sendWaiting(now: Instant, into effects: inout ClientEffects) {
    for index in endpoints.indices {
      guard endpoints[index].isOpen, let link = endpoints[index].link else { continue }
      while let id = calls.first(of: endpoints[index].pinned) {
        send(id, to: index, on: link, now: now, into: &effects)
      }
      guard index == preferred else { continue }
      while let id = calls.first(of: waiting) {
        send(id, to: index, on: link, now: now, into: &effects)
      }
      while let id = calls.first(of: held), takeNumber(for: id) {
        send(id, to: index, on: link, now: now, into: &effects)
      }
    }
  }

  private mutating func send(
    _ id: CallID,
    to index: Int,
    on link: LinkID,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    // The clock of silence runs from the question, not from the last answer.
    if !endpoints[index].isBusy { endpoints[index].lastHeard = now }
    move(id, to: .sent(index))
    if calls[id]?.sentAt == nil { calls[id]?.sentAt = now }
    if calls[id]?.isCommand == true, calls[id]?.identity == nil {
      let identity = unnumberedIdentity(for: id, through: index, now: now)
      calls[id]?.identity = identity
    }
    guard let call = calls[id] else { return }
    effects.send(on: link) { bytes in
      bytes.appendFrame(call.frameKind, correlation: id.rawValue) {
        call.encode(call.identity, newest: newestRevision, into: &$0)
      }
    }
  }

  private mutating func unnumberedIdentity(
    for id: CallID,
    through index: Int,
    now: Instant
  ) -> RequestIdentity {
    if calls[id]?.isFreelyRepeated == true, case .open(let open) = session {
      // May be repeated freely, so it takes no number.
      let first = SequenceNumber(open.window.firstIncomplete)
      return .session(open.id, .zero, firstIncomplete: first)
    }
    let oneShot = OneShotID(high: random.next(), low: random.next())
    let left = calls[id]?.deadline.nanoseconds(since: now) ?? 0
    // Two seconds more than the call has left: a retry at the last moment is still the same request.
    let wanted = left.addingReportingOverflow(2_000_000_000)
    let limit = settings.oneShotLifetime.wholeNanoseconds
    let lifetime = wanted.overflow ? limit : min(wanted.partialValue, limit)
    let time = endpoints[index].clusterTime(now: now)
    return .oneShot(oneShot, expiry: ClusterTime(time.rawValue &+ lifetime))
  }

  // MARK: Answers

  /// An answer came, from whatever link the question went over.
  mutating func didAnswer(
    _ id: CallID,
    _ body: [UInt8],
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let call = calls[id] else { return }
    // Nothing but a status can be asked of one endpoint alone, and its answer is no reply.
    if call.pinned != nil { return finish(id, with: .answered(body), now: now, into: &effects) }
    guard let failure = Self.failure(in: body) else {
      return didSucceed(id, body, from: index, now: now, into: &effects)
    }
    switch failure.code {
    case .notLeader, .shuttingDown, .busy, .leadershipLost, .noQuorum, .diverged, .notMember,
      .tooOld:
      retry(id, after: failure, from: index, now: now)
    case .oneShotExpired where !call.isUncertain, .oneShotTooFarAhead where !call.isUncertain:
      // The node's idea of the cluster's time was old, or that time stood still since without a leader. Nothing was executed under
      // this name, so another may be taken.
      endpoints[index].clusterTime = ClusterTime(failure.detail)
      endpoints[index].openedAt = now
      calls[id]?.identity = nil
      pause(id, now: now)
    case .oneShotTooFarAhead:
      // An earlier copy may be on its way, and be taken once the cluster's time has come so far.
      pause(id, now: now)
    case .oneShotExpired:
      // An earlier attempt may have been executed, and is forgotten by now.
      finish(id, .timedOut, now: now, into: &effects)
    case .sessionExpired where call.isCommand:
      // What this copy asked was not done; of an earlier one nobody knows.
      move(id, to: .none)
      sessionEnded(for: call, now: now, into: &effects)
      finish(id, .sessionEnded, now: now, into: &effects)
    case .diskFull where call.mayBeInLog, .overloaded where call.mayBeInLog,
      .windowExceeded where call.mayBeInLog:
      // This copy was refused; an earlier one may be in the log, and only its own reply says so.
      pause(id, now: now)
    case .storedReplyLimit where call.request != nil:
      renumber(id)
      pause(id, now: now)
    case .stale where call.queuedAt != nil:
      // Its place in the queue is gone, and it holds nothing.
      let gone = Reply.failure(Failure(.lockTimedOut)).encoded()
      finish(id, with: .answered(gone), now: now, into: &effects)
    default:
      finish(id, with: .answered(body), now: now, into: &effects)
    }
  }

  /// The failure that a reply is, if it is one.
  private static func failure(in body: [UInt8]) -> Failure? {
    guard body.count >= 2, body[0] != 0 || body[1] != 0 else { return nil }
    return try? Failure(decodingAll: body)
  }

  private mutating func didSucceed(
    _ id: CallID,
    _ body: [UInt8],
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard calls[id]?.acquire != nil, case .lock(.waiting) = try? Reply(decodingAll: body) else {
      return finish(id, with: .answered(body), now: now, into: &effects)
    }
    park(id, at: index, now: now)
  }

  private mutating func retry(
    _ id: CallID,
    after failure: Failure,
    from index: Int,
    now: Instant
  ) {
    if failure.code.execution == .unknown { calls[id]?.isUncertain = true }
    if [.noQuorum, .notLeader, .tooOld].contains(failure.code) {
      if calls[id]?.withoutQuorumSince == nil, calls[id]?.queuedAt == nil {
        calls[id]?.withoutQuorumSince = now
        alarms.set(id, at: now.advanced(by: settings.quorumPatience))
      }
      endpoints[index].failure = failure.code.sentence
    } else {
      calls[id]?.withoutQuorumSince = nil
    }
    pause(id, now: now)
    if failure.code == .notLeader, failure.detail != 0 {
      prefer(NodeID(failure.detail))
    } else if index == preferred {
      preferred = (preferred + 1) % endpoints.count
    }
  }

  private mutating func pause(_ id: CallID, now: Instant) {
    calls[id]?.retryAt = now.advanced(by: settings.retryDelay)
    move(id, to: .paused)
  }

  mutating func endPauses(now: Instant) {
    while let id = calls.first(of: paused), let call = calls[id], now >= call.retryAt {
      move(id, to: call.pinned.map { .pinned($0) } ?? .waiting)
    }
  }

  // MARK: Ends

  /// Looks at every call whose time has come: a deadline, the end of patience, or a long wait for a lock.
  mutating func ringAlarms(now: Instant, into effects: inout ClientEffects) {
    while let alarm = alarms.first, now >= alarm.time {
      alarms.removeFirst()
      guard let call = calls[alarm.call] else { continue }
      if now >= call.deadline {
        finish(alarm.call, .timedOut, now: now, into: &effects)
      } else if let since = call.withoutQuorumSince,
        now >= since.advanced(by: settings.quorumPatience)
      {
        finish(alarm.call, .noQuorum, now: now, into: &effects)
      } else if call.place == .parked {
        askAgain(alarm.call, now: now)
      }
    }
  }

  /// Ends calls that went nowhere, once it has been tried often enough.
  mutating func giveUpUnreachable(_ index: Int, now: Instant, into effects: inout ClientEffects) {
    while let id = calls.first(of: endpoints[index].pinned) {
      finish(id, .unreachable, now: now, into: &effects)
    }
    guard let limit = settings.unreachableRounds else { return }
    let rounds = completedRounds
    for queue in [waiting, held, paused] {
      var next = calls.first(of: queue)
      while let id = next {
        next = calls.next(after: id)
        // An acquire that stands in a queue has been heard: it waits for the cluster as it waits for the lock.
        guard let call = calls[id], rounds >= call.rounds + limit, call.queuedAt == nil else {
          continue
        }
        finish(id, .unreachable, now: now, into: &effects)
      }
    }
  }

  private func failure(of id: CallID, _ reason: CallFailure.Reason) -> CallFailure {
    let call = calls[id]
    var isSent = false
    if case .sent = call?.place { isSent = true }
    // An acquire that waited holds nothing once its session is over.
    let isOver = reason == .sessionEnded && call?.queuedAt != nil
    let isUncertain = !isOver && (isSent || call?.isUncertain == true || call?.queuedAt != nil)
    return CallFailure(
      reason: reason,
      mayHaveExecuted: isUncertain && call?.isChange == true,
      endpoints: reports,
      request: call?.request
    )
  }

  mutating func finish(
    _ id: CallID,
    _ reason: CallFailure.Reason,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    let failure = failure(of: id, reason)
    finish(id, with: .failed(failure), now: now, into: &effects)
  }

  /// Ends a call: it leaves its queue, the session takes note, and whoever asked is told.
  mutating func finish(
    _ id: CallID,
    with result: CallResult,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let call = calls[id] else { return }
    move(id, to: .none)
    calls.remove(id)
    settleNumber(of: call, result, now: now)
    switch call.purpose {
    case .application:
      note(call, result, now: now, into: &effects)
      effects.results.append((id, result))
    case .openSession: didOpenSession(call, result, now: now, into: &effects)
    case .renewal: didRenew(call, result, now: now)
    case .renewLeases(let ids): didRenew(ids, call, result, now: now, into: &effects)
    case .settle(let acquire): didSettle(acquire, call, result, now: now)
    }
  }
}
