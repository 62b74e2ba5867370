import RoostWire

/// Sessions, leases, locks and guards as the promises have them, beside the shipped state machine: too simple to be fast or wrong.
///
/// It follows the log's requests, the replies that they got and the news that went out, and says which of them breaks a promise.
struct LockModel {
  private struct Life {
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

  private var sessions: [UInt64: Life] = [:]
  private var leases: [UInt64: Life] = [:]
  /// By token.
  private var grants: [UInt64: Grant] = [:]
  private var waits: [Wait: Acquire] = [:]
  private var lastToken: UInt64 = 0
  /// The greatest token of earlier entries.
  private var oldestNewToken: UInt64 = 0
  /// Tokens of dead sessions whose locks somebody else has by now.
  private(set) var superseded: [UInt64] = []
  private(set) var coverage = CoverageCounts()

  init() {}

  private func isAlive(_ session: UInt64, at time: UInt64) -> Bool {
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
      grants = grants.filter { $0.value.session != caller.session }
    case (.acquire(let acquire), _): return judge(acquire, reply, of: caller, at: now)
    case (.release(let release), _): return judge(release, reply, of: caller.session, at: now)
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
    let acquire = waits.removeValue(forKey: wait)
    guard case .lock(.granted(let token)) = reply else { return nil }
    guard let acquire else { return "token \(token) is granted to nobody who waits" }
    coverage.meet(.lockWaited)
    return grant(token, acquire, to: wait.session, at: time.rawValue)
  }

  mutating func beginEntry() { oldestNewToken = lastToken }

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

  private mutating func followLease(_ command: Command, _ reply: Reply, at now: UInt64) {
    switch (command, reply) {
    case (.grantLease, .leaseGranted(let id, let ttl)):
      guard leases[id] == nil else { return }
      leases[id] = Life(ttl: ttl * 1_000_000, deadline: now + ttl * 1_000_000)
    case (.renewLeases(let ids), .renewed(let lives)):
      for (id, lives) in zip(ids, lives) where lives {
        guard let lease = leases[id] else { continue }
        leases[id]?.deadline = max(lease.deadline, now + lease.ttl)
      }
    case (.revokeLease(let id), .done), (.revokeLease(let id), .deleted): leases[id] = nil
    default: break
    }
  }

  /// Whether a key of that lease or session may have gone because of it by then; answers what is wrong if not.
  func judgeEnd(of lease: UInt64, at time: ClusterTime) -> String? {
    guard let deadline = (leases[lease] ?? sessions[lease])?.deadline,
      deadline > time.rawValue
    else { return nil }
    return "lease \(lease) ended \((deadline - time.rawValue) / 1000) us early"
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
      if let problem = grant(token, acquire, to: caller.session, at: now) { return problem }
      return passed(by: acquire, at: now).map {
        "\(text(acquire.wants[0].name)) is granted to a newcomer although session \($0) waits"
      }
    case .lock(.waiting):
      waits[caller] = acquire
      return nil
    default: return nil
    }
  }

  /// A live session that waits, longer than this one, for the same lock and alone.
  private func passed(by acquire: Acquire, at now: UInt64) -> UInt64? {
    guard acquire.wants.count == 1, acquire.wants[0].mode == .exclusive else { return nil }
    return waits.filter { wait, other in
      other.wait == .max && other.wants.count == 1 && other.wants[0] == acquire.wants[0]
        && isAlive(wait.session, at: now)
    }.keys.map(\.session).min()
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
        if !isAlive(held.session, at: now) {
          let deadline = sessions[held.session]?.deadline ?? 0
          guard now >= deadline + held.delay else {
            return "\(text(want.name)) is granted before it has rested"
          }
          grants[other]?.wants.removeAll { $0.name == want.name }
          superseded.append(other)
          coverage.meet(.lockLostWithSession)
          continue
        }
        if case .permits(let count, _) = its.mode { taken += UInt64(count) }
        if !want.mode.goesWith(its.mode, taken) {
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
