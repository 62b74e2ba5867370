import RoostWire

/// Sessions, leases, locks and guards as the promises have them, beside the shipped state machine: too simple to be fast or wrong.
///
/// It follows the log's requests, the replies that they got and the news that went out, and says which of them breaks a promise.
struct LockModel {
  struct Life {
    let ttl: UInt64
    var deadline: UInt64
  }

  private struct Grant {
    let session: UInt64
    var wants: [Acquire.Want]
    let delay: UInt64
  }

  private struct Wait: Hashable {
    let session: UInt64
    let sequence: UInt64
  }

  private struct Waiting {
    let acquire: Acquire
    /// Its place in the order of all who ever waited.
    let order: Int
    /// When it is over by itself.
    let until: UInt64
  }

  /// A grant to somebody who came later than those, if one of them still waits when the entry is through.
  private struct Pass {
    let name: [UInt8]
    let passed: [Wait]
  }

  var sessions: [UInt64: Life] = [:]
  var leases: [UInt64: Life] = [:]
  /// Leases and sessions that somebody ended, with the time.
  var endedByHand: [UInt64: UInt64] = [:]
  /// The keys that live as long as something else, and as what.
  var attached: [[UInt8]: UInt64] = [:]
  /// Of those that are over and have keys all the same, since when, and how many entries came since.
  var overdue: [UInt64: (since: UInt64, entries: Int)] = [:]
  /// Times to live that this entry's writes gave to single keys, in their order.
  var ownLives: [[UInt8]: [UInt64]] = [:]
  /// Whether a request of this entry removes keys.
  var removesKeys = false
  /// By token.
  private var grants: [UInt64: Grant] = [:]
  private var waits: [Wait: Waiting] = [:]
  private var waitCount = 0
  private var passes: [Pass] = []
  private var lastToken: UInt64 = 0
  /// Tokens that this entry gives to those who waited.
  private var tokensOfWaiters: Set<UInt64> = []
  /// The greatest token of earlier entries.
  private var oldestNewToken: UInt64 = 0
  /// Tokens of dead sessions whose locks somebody else has by now.
  private(set) var superseded: [UInt64] = []
  var coverage = CoverageCounts()

  init() {}

  /// The session that was granted a token, unless its locks were given back or taken away since.
  func holder(of token: UInt64) -> UInt64? { grants[token]?.session }

  func isAlive(_ session: UInt64, at time: UInt64) -> Bool {
    (sessions[session]?.deadline ?? 0) > time
  }

  /// Takes in a request and its reply; `isFirst` is false if the request was executed before.
  mutating func follow(
    _ request: Request,
    _ reply: Reply,
    at time: ClusterTime,
    isFirst: Bool
  ) -> String? {
    let now = time.rawValue
    var caller = Wait(session: 0, sequence: 0)
    if case .session(let session, let sequence, _) = request.identity {
      caller = Wait(session: session.rawValue, sequence: sequence.rawValue)
      if let problem = judgeLife(of: caller.session, reply, at: now) { return problem }
    }
    guard isFirst else { return nil }
    followLease(request.command, reply, at: now)
    followLifetimes(request.command, reply)
    switch (request.command, reply) {
    case (.openSession, .sessionOpened(let opened)):
      let ttl = opened.ttl * 1_000_000
      sessions[opened.session.rawValue] = Life(ttl: ttl, deadline: now + ttl)
    case (.keepAlive, .done):
      guard var session = sessions[caller.session] else { return nil }
      session.deadline = max(session.deadline, now + session.ttl)
      sessions[caller.session] = session
    case (.closeSession, .done):
      sessions[caller.session] = nil
      endedByHand[caller.session] = now
      grants = grants.filter { $0.value.session != caller.session }
    case (.acquire(let acquire), _): return judge(acquire, reply, of: caller, at: now)
    case (.release(let release), _): return judge(release, reply, of: caller.session, at: now)
    case (.cancelAcquire(let sequence), .done):
      waits[Wait(session: caller.session, sequence: sequence.rawValue)] = nil
    case (.forceRelease(let name), .done): drop(name) { _ in true }
    case (.forceRelease(let name), .released): drop(name) { _ in true }
    case (.operation(.put(let put)), _):
      guard let lockGuard = put.options.lockGuard else { return nil }
      return judge(lockGuard, reply, at: now)
    default: break
    }
    return nil
  }

  /// Takes in what a waiting acquire was told.
  mutating func follow(
    _ session: SessionID,
    _ sequence: SequenceNumber,
    _ reply: Reply,
    at time: ClusterTime
  ) -> String? {
    let wait = Wait(session: session.rawValue, sequence: sequence.rawValue)
    let waiting = waits.removeValue(forKey: wait)
    guard case .lock(.granted(let token)) = reply else { return nil }
    guard let waiting else { return "token \(token) is granted to nobody who waits" }
    coverage.meet(.lockWaited)
    let now = time.rawValue
    notePass(of: waiting.acquire, before: waiting.order, at: now)
    return grant(token, waiting.acquire, to: wait.session, at: now)
  }

  /// Begins with another entry, which gives these tokens to those who waited.
  mutating func beginEntry(grantingLater tokens: Set<UInt64> = []) {
    tokensOfWaiters = tokens
    oldestNewToken = lastToken
    passes = []
    ownLives = [:]
    removesKeys = false
  }

  /// Says whether somebody was passed in the queue, when everybody has been told what the entry changed.
  func endEntry() -> String? {
    for pass in passes {
      guard let waiting = pass.passed.filter({ waits[$0] != nil }).map(\.session).min() else {
        continue
      }
      return "\(text(pass.name)) is granted although session \(waiting) has waited longer for it"
    }
    return nil
  }

  // MARK: Lives

  private func judgeLife(of session: UInt64, _ reply: Reply, at now: UInt64) -> String? {
    guard let known = sessions[session] else { return nil }
    var isRefused = false
    if case .failure(let failure) = reply { isRefused = failure.code == .sessionExpired }
    if isRefused, known.deadline > now {
      return "session \(session) ended at \(now), \((known.deadline - now) / 1000) us early"
    }
    if !isRefused, known.deadline <= now {
      return
        "session \(session) is served at \(now), \((now - known.deadline) / 1000) us after its end"
    }
    return nil
  }

  // MARK: Locks

  private mutating func judge(
    _ acquire: Acquire,
    _ reply: Reply,
    of caller: Wait,
    at now: UInt64
  ) -> String? {
    switch reply {
    case .lock(.granted(let token)):
      if let held = grants[token], acquire.isReentrant, held.session == caller.session {
        return nil
      }
      // It takes once more what another request of the same entry made its own; the news of that are told behind all replies.
      if acquire.isReentrant, tokensOfWaiters.contains(token) { return nil }
      notePass(of: acquire, before: waitCount + 1, at: now)
      return grant(token, acquire, to: caller.session, at: now)
    case .lock(.waiting):
      waitCount += 1
      let (until, isEndless) = now.addingReportingOverflow(acquire.wait.multipliedCapped(1_000_000))
      waits[caller] = Waiting(
        acquire: acquire,
        order: waitCount,
        until: isEndless ? .max : until
      )
      return nil
    default: return nil
    }
  }

  /// Writes down which live sessions have waited longer for one of these locks.
  private mutating func notePass(of acquire: Acquire, before order: Int, at now: UInt64) {
    let passed = waits.filter { wait, other in
      other.order < order && other.until > now && isAlive(wait.session, at: now)
        && other.acquire.wants.contains { want in
          acquire.wants.contains { $0.name == want.name }
        }
    }
    guard !passed.isEmpty else { return }
    passes.append(Pass(name: acquire.wants[0].name, passed: Array(passed.keys)))
  }

  private mutating func grant(
    _ token: UInt64,
    _ acquire: Acquire,
    to session: UInt64,
    at now: UInt64
  ) -> String? {
    guard token > oldestNewToken, grants[token] == nil else {
      return "token \(token) is not above \(oldestNewToken), or is given twice"
    }
    lastToken = max(lastToken, token)
    for want in acquire.wants {
      var taken: UInt64 = 0
      for (other, held) in grants.sorted(by: { $0.key < $1.key }) {
        guard let its = held.wants.first(where: { $0.name == want.name }) else { continue }
        // What a dead session had is held until it has rested.
        let deadline = sessions[held.session]?.deadline ?? 0
        let isDead = !isAlive(held.session, at: now)
        if isDead, now >= deadline + held.delay {
          grants[other]?.wants.removeAll { $0.name == want.name }
          superseded.append(other)
          coverage.meet(.lockLostWithSession)
          continue
        }
        if case .permits(let count, _) = its.mode { taken += UInt64(count) }
        if !want.mode.goesWith(its.mode, taken) {
          if isDead { return "\(text(want.name)) is granted before it has rested" }
          return "\(text(want.name)) is granted under token \(token) while token \(other) holds it"
        }
        if its.mode == .shared { coverage.meet(.lockShared) }
      }
    }
    if acquire.wants.count > 1 { coverage.meet(.locksTogether) }
    let delay = acquire.delay * 1_000_000
    grants[token] = Grant(session: session, wants: acquire.wants, delay: delay)
    return nil
  }

  /// Takes in that an operator took a lock away; it may have been granted by the same entry.
  mutating func lose(_ token: UInt64, _ name: [UInt8]) { drop(name) { $0 == token } }

  private mutating func drop(_ name: [UInt8], where isMeant: (UInt64) -> Bool) {
    for token in grants.keys where isMeant(token) {
      grants[token]?.wants.removeAll { $0.name == name || name.isEmpty }
      if grants[token]?.wants.isEmpty == true { grants[token] = nil }
    }
  }

  private mutating func judge(
    _ release: Release,
    _ reply: Reply,
    of caller: UInt64,
    at now: UInt64
  ) -> String? {
    let grant = grants[release.token]
    let names = grant?.wants.map(\.name) ?? []
    let isHeld =
      grant?.session == caller && (release.name.isEmpty || names.contains(release.name))
    switch reply {
    case .released(let depth):
      guard isHeld else {
        return "token \(release.token) of somebody else gave back \(text(release.name))"
      }
      if depth == 0 { drop(release.name) { $0 == release.token } }
      return nil
    case .failure(let failure) where failure.code == .lockNotHeld && isHeld:
      return "token \(release.token) is said not to hold \(text(release.name)), and it does"
    default: return nil
    }
  }

  private func judge(_ lockGuard: LockGuard, _ reply: Reply, at now: UInt64) -> String? {
    let grant = grants[lockGuard.token]
    let isNamed = grant?.wants.contains { $0.name == lockGuard.lock } ?? false
    let isValid = isNamed && isAlive(grant?.session ?? 0, at: now)
    switch reply {
    case .written where !isValid:
      return
        "a write passed under token \(lockGuard.token), which does not hold \(text(lockGuard.lock))"
    case .failure(let failure) where failure.code == .fenced && isValid:
      return
        "a write under token \(lockGuard.token) is refused, and it holds \(text(lockGuard.lock))"
    default: return nil
    }
  }
}

extension Acquire.Mode {
  /// Whether one more in this mode can hold a lock of which others have so many permits.
  fileprivate func goesWith(_ other: Acquire.Mode, _ taken: UInt64) -> Bool {
    switch (self, other) {
    case (.shared, .shared): true
    case (.permits(let count, let total), .permits): taken + UInt64(count) <= UInt64(total)
    default: false
    }
  }
}

extension UInt64 {
  fileprivate func multipliedCapped(_ factor: UInt64) -> UInt64 {
    let (product, overflow) = multipliedReportingOverflow(by: factor)
    return overflow ? .max : product
  }
}
