package import RoostWire

/// A client as a value: calls and links in, effects out.
///
/// Calls go to one endpoint, the preferred one, until it fails or names the leader; whatever was unanswered there is
/// sent again elsewhere under the same identity, so that it takes effect once however often it arrives. What an event
/// costs does not grow with the calls that are under way, except for those that it concerns.
package struct ClientMachine: Sendable {
  package let settings: ClientSettings
  package internal(set) var endpoints: [Endpoint]
  var calls = CallTable()
  var alarms = AlarmClock()
  /// Calls to be sent to the preferred endpoint.
  var waiting = CallTable.Queue()
  /// Commands that have no number in the session yet.
  var held = CallTable.Queue()
  /// Calls that are tried again soon, earliest first: every pause is as long.
  var paused = CallTable.Queue()
  /// Acquires that wait for their locks.
  var parked = CallTable.Queue()
  /// The same by their numbers.
  var parkedCalls: [SequenceNumber: CallID] = [:]
  /// Ascending by id.
  var watches: [ClientWatch] = []
  /// Watches to be asked for at the preferred endpoint.
  var idleWatches: [WatchID] = []
  /// Watches that are asked for again soon, earliest first.
  var pausedWatches: [(until: Instant, id: WatchID)] = []
  var lastWatch: UInt64 = 0
  /// Grants, ascending by token.
  var holds: [HeldGrant] = []
  /// Leases that are kept alive, ascending by id.
  var leases: [KeptLease] = []
  var leaseRenewalAt = Instant.distantFuture
  var preferred: Int
  /// The newest revision of the store that any answer or watch has shown: no read of this client shows an older one.
  var newestRevision = Revision.zero
  var session = ClientSession.none
  /// The number that the next session begins with: an event about an earlier session's request fits no later one.
  var nextSequence: UInt64 = 1
  var random: SplitMix64
  var lastLink: UInt64 = 0

  package init(endpoints: [String], settings: ClientSettings, random: SplitMix64) {
    precondition(!endpoints.isEmpty, "a client knows at least one endpoint")
    self.settings = settings
    self.random = random
    self.endpoints = endpoints.map { Endpoint(address: $0) }
    preferred = 0
  }

  /// Takes a call, to be answered once in some later effects; its deadline ends it at the latest.
  package mutating func call(
    _ kind: CallKind,
    deadline: Instant,
    now: Instant,
    into effects: inout ClientEffects
  ) -> CallID {
    let id = add(kind, for: .application, deadline: deadline, now: now)
    advance(now: now, into: &effects)
    return id
  }

  mutating func add(
    _ kind: CallKind,
    for purpose: PendingCall.Purpose,
    deadline: Instant,
    now: Instant
  ) -> CallID {
    let call = PendingCall(
      kind: kind,
      purpose: purpose,
      deadline: deadline,
      rounds: completedRounds
    )
    let id = calls.insert(call)
    alarms.set(id, at: deadline)
    place(id)
    return id
  }

  /// Ends a call whose answer is wanted no more; its result says whether it may have been executed.
  package mutating func cancel(_ id: CallID, now: Instant, into effects: inout ClientEffects) {
    guard calls[id]?.purpose == .application else { return }
    finish(id, .cancelled, now: now, into: &effects)
    advance(now: now, into: &effects)
  }

  /// Lets time pass: deadlines, retries and signs of life are due at ``nextDeadline``.
  package mutating func tick(now: Instant, into effects: inout ClientEffects) {
    advance(now: now, into: &effects)
  }

  /// Ends every call and link.
  package mutating func close(now: Instant, into effects: inout ClientEffects) {
    session = .none
    watches = []
    holds = []
    leases = []
    for id in calls.ids { finish(id, .closed, now: now, into: &effects) }
    for index in endpoints.indices {
      if let link = endpoints[index].link { effects.closes.append(link) }
      endpoints[index].becomeIdle()
    }
  }

  /// When ``tick(now:into:)`` should be called at the latest.
  package var nextDeadline: Instant {
    var deadline = min(alarms.first?.time ?? .distantFuture, sessionDeadline)
    if let first = calls.first(of: paused), let call = calls[first] {
      deadline = min(deadline, call.retryAt)
    }
    if let first = pausedWatches.first { deadline = min(deadline, first.until) }
    deadline = min(deadline, leaseRenewalAt)
    for index in endpoints.indices {
      let endpoint = endpoints[index]
      deadline = min(deadline, endpoint.deadline(settings))
      // An idle endpoint is waited for only where a call wants it.
      if endpoint.link == nil, wants(index) { deadline = min(deadline, endpoint.retryAt) }
    }
    return deadline
  }

  /// The machine's one rule, after whatever has happened: end what is over, connect what is needed, send what can be sent.
  mutating func advance(now: Instant, into effects: inout ClientEffects) {
    expireLinks(now: now, into: &effects)
    ringAlarms(now: now, into: &effects)
    endPauses(now: now)
    advanceSession(now: now, into: &effects)
    renewLeases(now: now)
    connectWhereNeeded(now: now, into: &effects)
    sendWaiting(now: now, into: &effects)
    startWatches(now: now, into: &effects)
    alarms.settle(calls)
  }

  /// How often every endpoint has failed.
  var completedRounds: Int {
    var rounds = Int.max
    for endpoint in endpoints { rounds = min(rounds, endpoint.failureCount) }
    return rounds
  }

  var reports: [EndpointReport] {
    endpoints.map { EndpointReport(address: $0.address, failure: $0.failure) }
  }
}
