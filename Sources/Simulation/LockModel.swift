import RoostWire

/// Sessions, locks and guards as the promises have them, beside the shipped state machine: too simple to be fast or wrong.
///
/// It follows the log's requests and the replies that they got, and says which reply breaks a promise. It knows locks that are
/// taken alone and without waiting.
struct LockModel {
  private struct LiveSession {
    let ttl: UInt64
    var deadline: UInt64
  }

  private struct Holder {
    let token: UInt64
    let session: UInt64
    let delay: UInt64
  }

  private var sessions: [UInt64: LiveSession] = [:]
  private var holders: [[UInt8]: Holder] = [:]
  private var lastToken: UInt64 = 0

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
    var caller: UInt64 = 0
    if case .session(let session, _, _) = request.identity {
      caller = session.rawValue
      if let problem = judgeLife(of: caller, reply, at: now) { return problem }
    }
    guard isFirst else { return nil }
    switch (request.command, reply) {
    case (.openSession, .sessionOpened(let opened)):
      let ttl = opened.ttl * 1_000_000
      sessions[opened.session.rawValue] = LiveSession(ttl: ttl, deadline: now + ttl)
    case (.keepAlive, .done):
      guard var session = sessions[caller] else { return nil }
      session.deadline = max(session.deadline, now + session.ttl)
      sessions[caller] = session
    case (.closeSession, .done): sessions[caller] = nil
    case (.acquire(let acquire), _): return judge(acquire, reply, of: caller, at: now)
    case (.release(let release), _): return judge(release, reply, of: caller, at: now)
    case (.operation(.put(let put)), _):
      guard let lockGuard = put.options.lockGuard else { return nil }
      return judge(lockGuard, reply, at: now)
    default: break
    }
    return nil
  }

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

  private mutating func judge(
    _ acquire: Acquire,
    _ reply: Reply,
    of caller: UInt64,
    at now: UInt64
  ) -> String? {
    let name = acquire.wants[0].name
    let holder = holders[name]
    switch reply {
    case .lock(.granted(let token)):
      guard token > lastToken else { return "token \(token) is not above \(lastToken)" }
      lastToken = token
      holders[name] = Holder(token: token, session: caller, delay: acquire.delay * 1_000_000)
      guard let holder, let session = sessions[holder.session] else { return nil }
      guard session.deadline > now else {
        return now < session.deadline + holder.delay
          ? "\(text(name)) is granted before it has rested" : nil
      }
      return "\(text(name)) is granted under token \(token) while token \(holder.token) holds it"
    case .failure(let failure) where failure.code == .lockBusy && holder == nil:
      return "\(text(name)) is refused although it is free"
    default: return nil
    }
  }

  private mutating func judge(
    _ release: Release,
    _ reply: Reply,
    of caller: UInt64,
    at now: UInt64
  ) -> String? {
    let holder = holders[release.name]
    let isHeld = holder?.token == release.token && holder?.session == caller
    switch reply {
    case .released:
      guard isHeld else {
        return "token \(release.token) of somebody else gave back \(text(release.name))"
      }
      holders[release.name] = nil
      return nil
    case .failure(let failure) where failure.code == .lockNotHeld && isHeld:
      return "token \(release.token) is said not to hold \(text(release.name)), and it does"
    default: return nil
    }
  }

  private func judge(_ lockGuard: LockGuard, _ reply: Reply, at now: UInt64) -> String? {
    let holder = holders[lockGuard.lock]
    let isValid = holder?.token == lockGuard.token && isAlive(holder?.session ?? 0, at: now)
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

/// Whether cluster time runs ahead of the world's, which would end leases early.
///
/// The stamp of an entry was made after the entry was first written (or before, by less than a turn) and before it was
/// first applied. So between two stamps cluster time may pass by what passed between the earlier entry's first write and the
/// later one's first application, and by the margin of the clocks' rates.
struct TimeJudge {
  private static let margin = 1.011
  private static let slack = 3_000_000.0

  private var firstWrites: [LogIndex: (term: UInt64, time: UInt64)] = [:]
  private var bound: Double?

  mutating func willWrite(_ index: LogIndex, term: UInt64, at time: UInt64) {
    guard firstWrites[index]?.term != term else { return }
    firstWrites[index] = (term, time)
  }

  /// Takes in that an entry is applied for the first time; answers what is wrong with its stamp.
  mutating func didApply(
    _ index: LogIndex,
    term: UInt64,
    stamp: ClusterTime,
    at time: UInt64
  ) -> String? {
    let stamp = Double(stamp.rawValue)
    let ahead = stamp - Self.margin * Double(time)
    if let bound, ahead > bound + Self.slack {
      return
        "entry \(index) has a cluster time \(Int((ahead - bound) / 1000)) us ahead of the world's"
    }
    guard let first = firstWrites[index], first.term == term else { return nil }
    let least = stamp - Self.margin * Double(first.time)
    bound = min(bound ?? least, least)
    return nil
  }
}
