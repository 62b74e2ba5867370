package import RoostWire

/// One attempt to be connected to one endpoint; never used again.
package struct LinkID: WireNumber {
  package let rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// One call of the application.
///
/// It is the correlation id on every link that the call is sent over, since any answer to
/// the same request will do.
package struct CallID: WireNumber {
  package let rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What the application wants.
package enum CallKind: Hashable, Sendable {
  /// Changes something: sent again under the same identity until it is answered.
  case command(Command)
  case query(ReadLevel, Query)
  /// How one endpoint is.
  case status(endpoint: Int)
}

/// What became of a call.
package enum CallResult: Equatable, Sendable {
  /// The bytes of a `Reply`, or for a status call of a `NodeStatus`.
  case answered([UInt8])
  case failed(CallFailure)
}

/// Why a call got no answer, and what that means.
package struct CallFailure: Error, Equatable, Sendable {
  package enum Reason: Equatable, Sendable {
    /// No endpoint could be connected to.
    case unreachable
    /// Nodes answer, but none of them serves: no leader, or no quorum.
    case noQuorum
    case timedOut
    /// The session ended before the request was answered.
    case sessionEnded
    case closed
  }

  package let reason: Reason
  /// Whether a mutating request may have had, or may still have, an effect.
  package let mayHaveExecuted: Bool
  /// What each endpoint last said, in the order in which they were given.
  package let endpoints: [EndpointReport]

  /// A call that came after the client was closed.
  package static let closed = CallFailure(reason: .closed, mayHaveExecuted: false, endpoints: [])
}

/// How it stands with one endpoint.
package struct EndpointReport: Equatable, Sendable {
  package let address: String
  /// What went wrong last; nil if it is connected or was not tried.
  package let failure: String?
}

/// What the machine asks of the world.
package struct ClientEffects: Equatable, Sendable {
  /// Connections to make: to the endpoint of that index, under that name.
  package var connects: [(link: LinkID, endpoint: Int)] = []
  package var sends: [(link: LinkID, bytes: [UInt8])] = []
  package var closes: [LinkID] = []
  package var results: [(call: CallID, result: CallResult)] = []

  package init() {}

  package static func == (left: ClientEffects, right: ClientEffects) -> Bool {
    left.connects.elementsEqual(right.connects, by: ==)
      && left.sends.elementsEqual(right.sends, by: ==) && left.closes == right.closes
      && left.results.elementsEqual(right.results, by: ==)
  }
}

/// A client's patience and habits.
package struct ClientSettings: Hashable, Sendable {
  /// How a mutating request is told from every other.
  package enum Identity: Hashable, Sendable {
    /// By 128 random bits: one round trip, for programs that make a few requests.
    case oneShot
    /// By its number in a session, which lives that long without a sign of life.
    case session(ttl: Duration)
  }

  package var identity = Identity.oneShot
  /// How long one endpoint may take to be connected.
  package var connectTimeout = Duration.milliseconds(500)
  /// How long a node may be silent while a call waits before it is asked for a sign of life, and again as long before it is given up.
  package var silence = Duration.milliseconds(700)
  /// How often every endpoint must fail before a call that was sent nowhere gives up; nil: its deadline decides.
  package var unreachableRounds: Int? = 2
  /// How long nodes may answer that they have no leader before a call gives up.
  package var quorumPatience = Duration.seconds(3)
  /// The pause before the same thing is tried again.
  package var retryDelay = Duration.milliseconds(20)
  /// The longest life of a one-shot request; the cluster takes none that ends more than a minute ahead.
  package var oneShotLifetime = Duration.seconds(45)
  /// The label of the session, for people who look at the cluster.
  package var label: [UInt8] = []

  package init() {}
}

/// A client as a value: calls and links in, effects out.
///
/// Calls go to one endpoint, the preferred one, until it fails or names the leader; whatever was unanswered there is
/// sent again elsewhere under the same identity, so that it takes effect once however often it arrives.
package struct ClientMachine: Sendable {
  package let settings: ClientSettings
  package internal(set) var endpoints: [Endpoint]
  var calls: [CallID: PendingCall] = [:]
  /// Calls in the order in which they came, so that nothing depends on a dictionary's order.
  var order: [CallID] = []
  var preferred: Int
  var session = ClientSession.none
  var random: SplitMix64
  var lastLink: UInt64 = 0
  var lastCall: UInt64 = 0

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
    let id = add(kind, deadline: deadline, now: now)
    advance(now: now, into: &effects)
    return id
  }

  mutating func add(_ kind: CallKind, deadline: Instant, now: Instant) -> CallID {
    lastCall += 1
    let id = CallID(lastCall)
    calls[id] = PendingCall(kind: kind, deadline: deadline, rounds: completedRounds, now: now)
    order.append(id)
    return id
  }

  /// Lets time pass: deadlines, retries and signs of life are due at ``nextDeadline``.
  package mutating func tick(now: Instant, into effects: inout ClientEffects) {
    advance(now: now, into: &effects)
  }

  /// Ends every call and link.
  package mutating func close(into effects: inout ClientEffects) {
    for id in order { finish(id, .closed, into: &effects) }
    for index in endpoints.indices {
      if let link = endpoints[index].link { effects.closes.append(link) }
      endpoints[index].becomeIdle()
    }
  }

  /// When ``tick(now:into:)`` should be called at the latest.
  package var nextDeadline: Instant {
    var deadline = sessionDeadline
    for id in order {
      guard let call = calls[id] else { continue }
      deadline = min(deadline, call.deadline)
      // Without a link to send it over, the time of a retry is no reason to wake up: the link is.
      if let retry = call.retryAt, endpoints[call.pinned ?? preferred].isOpen {
        deadline = min(deadline, retry)
      }
      if let since = call.withoutQuorumSince {
        deadline = min(deadline, since.advanced(by: settings.quorumPatience))
      }
    }
    // An idle endpoint is waited for only where a call wants it.
    for index in wantedEndpoints where endpoints[index].link == nil {
      deadline = min(deadline, endpoints[index].retryAt)
    }
    return endpoints.reduce(deadline) { min($0, $1.deadline(settings, isBusy: !order.isEmpty)) }
  }

  /// The machine's one rule, after whatever has happened: end what is over, connect what is needed, send what can be sent.
  mutating func advance(now: Instant, into effects: inout ClientEffects) {
    expireLinks(now: now, into: &effects)
    expireCalls(now: now, into: &effects)
    endPauses(now: now)
    advanceSession(now: now)
    connectWhereNeeded(now: now, into: &effects)
    sendWaiting(now: now, into: &effects)
  }

  /// How often every endpoint has failed.
  var completedRounds: Int { endpoints.reduce(Int.max) { min($0, $1.failureCount) } }

  var reports: [EndpointReport] {
    endpoints.map { EndpointReport(address: $0.address, failure: $0.failure) }
  }
}
