internal import RoostWire

/// A call that has not been answered.
struct PendingCall: Sendable {
  let kind: CallKind
  let deadline: Instant
  /// How often every endpoint had failed when the call came.
  let rounds: Int
  let startedAt: Instant
  /// The frame's body; made at the first sending and never changed, so that a retry is the same request.
  var body: [UInt8]?
  /// Its place in a session, if it has one.
  var place: (session: SessionID, sequence: SequenceNumber)?
  /// Whether the machine itself asks, for the session's sake: the application never hears of it.
  var isOwn = false
  var sentOn: LinkID?
  var sendCount = 0
  /// Whether it was sent and nobody can say any more what became of that.
  var isUncertain = false
  var retryAt: Instant?
  /// Since when nodes say that there is no leader to ask.
  var withoutQuorumSince: Instant?

  init(kind: CallKind, deadline: Instant, rounds: Int, now: Instant) {
    self.kind = kind
    self.deadline = deadline
    self.rounds = rounds
    startedAt = now
  }

  var pinned: Int? {
    if case .status(let endpoint) = kind { endpoint } else { nil }
  }

  var isCommand: Bool {
    if case .command = kind { true } else { false }
  }

  var frameKind: FrameKind {
    switch kind {
    case .command: .request
    case .query: .query
    case .status: .status
    }
  }
}

/// Calls: how they are sent, answered, tried again and ended.
extension ClientMachine {
  mutating func sendWaiting(now: Instant, into effects: inout ClientEffects) {
    var outputs: [(index: Int, bytes: [UInt8])] = []
    for id in order {
      guard let call = calls[id], call.sentOn == nil, now >= call.retryAt ?? now else { continue }
      let index = call.pinned ?? preferred
      guard endpoints[index].isOpen, let link = endpoints[index].link else { continue }
      guard let body = call.body ?? makeBody(for: id, through: index, now: now) else { continue }
      calls[id]?.body = body
      calls[id]?.sentOn = link
      calls[id]?.sendCount += 1
      calls[id]?.retryAt = nil
      if outputs.last?.index != index { outputs.append((index, [])) }
      outputs[outputs.count - 1].bytes.appendFrame(call.frameKind, correlation: id.rawValue) {
        $0 += body
      }
      // The clock of silence runs from the question, not from the last answer.
      endpoints[index].lastHeard = max(endpoints[index].lastHeard, now)
    }
    for output in outputs {
      guard let link = endpoints[output.index].link else { continue }
      effects.sends.append((link, output.bytes))
    }
  }

  /// The bytes of a call, once everything that they name is known; nil: not yet.
  private mutating func makeBody(for id: CallID, through index: Int, now: Instant) -> [UInt8]? {
    guard let call = calls[id] else { return nil }
    switch call.kind {
    case .status: return []
    case .query(let level, let query):
      var body = [level.rawValue]
      query.encode(into: &body)
      return body
    case .command(let command):
      guard let identity = identity(for: id, command, through: index, now: now) else { return nil }
      return Request(identity, command).encoded()
    }
  }

  private mutating func identity(
    for id: CallID,
    _ command: Command,
    through index: Int,
    now: Instant
  ) -> RequestIdentity? {
    if case .session = settings.identity, case .openSession = command {
      return oneShotIdentity(for: id, through: index, now: now)
    }
    guard case .session = settings.identity else {
      return oneShotIdentity(for: id, through: index, now: now)
    }
    return sessionIdentity(for: id, command)
  }

  private mutating func oneShotIdentity(
    for id: CallID,
    through index: Int,
    now: Instant
  ) -> RequestIdentity {
    let oneShot = OneShotID(high: random.next(), low: random.next())
    let left = calls[id]?.deadline.nanoseconds(since: now) ?? 0
    // Two seconds more than the call has left: a retry at the last moment is still the same request.
    let lifetime = min(left &+ 2_000_000_000, settings.oneShotLifetime.wholeNanoseconds)
    let time = endpoints[index].clusterTime(now: now)
    return .oneShot(oneShot, expiry: ClusterTime(time.rawValue &+ lifetime))
  }

  /// An answer came, from whatever link the question went over.
  mutating func didAnswer(
    _ id: CallID,
    _ body: [UInt8],
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let call = calls[id] else { return }
    if case .status = call.kind { return finish(id, with: .answered(body), into: &effects) }
    guard let failure = Self.failure(in: body) else {
      if completeSession(id, body, now: now) { return forget(id) }
      return finish(id, with: .answered(body), into: &effects)
    }
    switch failure.code {
    case .notLeader, .shuttingDown, .busy, .leadershipLost, .noQuorum, .diverged, .notMember:
      retry(id, after: failure, from: index, now: now)
    case .oneShotExpired where !call.isUncertain:
      // The node's idea of the cluster's time was old. Nothing was executed under this name, so another may be taken.
      endpoints[index].clusterTime = ClusterTime(failure.detail)
      endpoints[index].openedAt = now
      calls[id]?.body = nil
      again(id, now: now)
    case .oneShotExpired:
      // An earlier attempt may have been executed, and is forgotten by now.
      calls[id]?.isUncertain = true
      finish(id, .timedOut, into: &effects)
    case .sessionExpired where call.isCommand:
      sessionEnded(for: call)
      finish(id, .sessionEnded, into: &effects)
    default:
      finish(id, with: .answered(body), into: &effects)
    }
  }

  /// The failure that a reply is, if it is one.
  private static func failure(in body: [UInt8]) -> Failure? {
    guard body.count >= 2, body[0] != 0 || body[1] != 0 else { return nil }
    return try? Failure(decodingAll: body)
  }

  private mutating func retry(
    _ id: CallID,
    after failure: Failure,
    from index: Int,
    now: Instant
  ) {
    if failure.code.execution == .unknown { calls[id]?.isUncertain = true }
    if failure.code == .noQuorum || failure.code == .notLeader {
      let since = calls[id]?.withoutQuorumSince ?? now
      calls[id]?.withoutQuorumSince = since
      endpoints[index].failure = failure.code.sentence
    } else {
      calls[id]?.withoutQuorumSince = nil
    }
    again(id, now: now)
    if failure.code == .notLeader, failure.detail != 0 {
      prefer(NodeID(failure.detail))
    } else if index == preferred {
      preferred = (preferred + 1) % endpoints.count
    }
  }

  private mutating func again(_ id: CallID, now: Instant) {
    calls[id]?.sentOn = nil
    calls[id]?.retryAt = now.advanced(by: settings.retryDelay)
  }

  /// A pause that is over is no deadline any more, even while there is no link to go on with.
  mutating func endPauses(now: Instant) {
    for id in order {
      if let retry = calls[id]?.retryAt, now >= retry { calls[id]?.retryAt = nil }
    }
  }

  mutating func expireCalls(now: Instant, into effects: inout ClientEffects) {
    for id in order {
      guard let call = calls[id] else { continue }
      if now >= call.deadline {
        finish(id, .timedOut, into: &effects)
      } else if let since = call.withoutQuorumSince,
        now >= since.advanced(by: settings.quorumPatience)
      {
        finish(id, .noQuorum, into: &effects)
      } else if let pinned = call.pinned, endpoints[pinned].failureCount > 0, call.sentOn == nil,
        endpoints[pinned].link == nil, endpoints[pinned].retryAt > call.startedAt
      {
        finish(id, .unreachable, into: &effects)
      } else if call.sentOn == nil, let rounds = settings.unreachableRounds,
        completedRounds >= call.rounds + rounds
      {
        finish(id, .unreachable, into: &effects)
      }
    }
  }

  func failure(of id: CallID, _ reason: CallFailure.Reason) -> CallFailure {
    let call = calls[id]
    let isUncertain = call?.isUncertain == true || call?.sentOn != nil
    return CallFailure(
      reason: reason,
      mayHaveExecuted: isUncertain && call?.isCommand == true,
      endpoints: reports
    )
  }

  mutating func finish(
    _ id: CallID,
    _ reason: CallFailure.Reason,
    into effects: inout ClientEffects
  ) {
    finish(id, with: .failed(failure(of: id, reason)), into: &effects)
  }

  private mutating func finish(
    _ id: CallID,
    with result: CallResult,
    into effects: inout ClientEffects
  ) {
    let isOwn = calls[id]?.isOwn ?? false
    if !failSession(id, result), !isOwn { effects.results.append((id, result)) }
    forget(id)
  }

  private mutating func forget(_ id: CallID) {
    guard calls.removeValue(forKey: id) != nil else { return }
    order.removeAll { $0 == id }
  }
}
