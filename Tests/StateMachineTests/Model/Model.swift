@testable import RoostStateMachine
import RoostWire

/// The whole state machine once more, slow and obvious: arrays, loops, and copies to take things back.
///
/// It keeps every change for ever, searches from the front, and builds replies as values. Where the real one
/// has an index, a list through slots or a timer, this one looks at everything there is.
struct Model {
  struct Version {
    var key: [UInt8]
    var value: [UInt8]
    var created: UInt64
    var modified: UInt64
    var version: UInt64
    var lease: UInt64
  }

  struct Change {
    var revision: UInt64
    var time: UInt64
    var key: [UInt8]
    /// Nil: the key was removed.
    var new: Version?
    var old: Version?
  }

  struct Session {
    var id: UInt64
    var ttl: UInt64
    var label: [UInt8]
    var deadline: UInt64
    var firstIncomplete: UInt64 = 1
    /// Replies in the order of their making; one that was replaced stays under 0.
    var stored: [(sequence: UInt64, reply: [UInt8])] = []

    var storedBytes: Int { stored.reduce(0) { $0 + 12 + $1.reply.count } }
  }

  struct Lease {
    var id: UInt64
    var ttl: UInt64
    var owner: UInt64
    var isOfOneKey: Bool
    var deadline: UInt64
  }

  struct Claim {
    var number: Int
    var session: UInt64
    var sequence: UInt64
    var owner: UInt64
    var wants: [Acquire.Want]
    var delay: UInt64
    var deadline: UInt64
    var since: UInt64
    var token: UInt64 = 0
    var hasWaited = false
  }

  struct Depth: Hashable {
    var claim: Int
    var lock: [UInt8]
  }

  /// Gives out ids as the real tables do: a place, and how often it was used.
  struct IDs {
    let kind: UInt64
    var generations: [UInt64] = []
    var free: [Int] = []

    mutating func next() -> UInt64 {
      if let place = free.popLast() { return id(place) }
      generations.append(1)
      return id(generations.count - 1)
    }

    private func id(_ place: Int) -> UInt64 {
      generations[place] << 25 | UInt64(place) << 1 | kind
    }

    mutating func end(_ id: UInt64) {
      let place = Int(id >> 1 & 0xFF_FFFF)
      generations[place] += 1
      free.append(place)
    }

    static func place(_ id: UInt64) -> UInt64 { id >> 1 & 0xFF_FFFF }
  }

  let limits: StateLimits
  var time: UInt64 = 0
  var index: UInt64 = 0
  var transcript: UInt64 = 0
  var revision: UInt64 = 0
  var oldest: UInt64 = 0
  /// Every change there ever was, and how many of them the real one has forgotten.
  var log: [Change] = []
  var forgotten = 0
  var sessions: [Session] = []
  var sessionIDs = IDs(kind: 0)
  var leases: [Lease] = []
  var leaseIDs = IDs(kind: 1)
  var oneShots: [(id: OneShotID, expiry: UInt64, reply: [UInt8])] = []
  /// In the order of the log, which is the order of every queue.
  var claims: [Claim] = []
  var nextClaim = 0
  /// How often an owner has taken a lock under a claim, where it is not once.
  var depths: [Depth: UInt32] = [:]
  var claimIDs = IDs(kind: 1)
  var claimIDOf: [Int: UInt64] = [:]
  var lockIDs = IDs(kind: 0)
  /// Locks in use: their permits, and until when they rest.
  var locks: [(name: [UInt8], id: UInt64, total: UInt32, restsUntil: UInt64)] = []
  var lastToken: UInt64 = 0
  var bindings: [(prefix: [UInt8], lock: [UInt8])] = []
  var events: [(session: UInt64, sequence: UInt64, event: Event)] = []

  var hint: Reply?

  init(limits: StateLimits) { self.limits = limits }

  // MARK: Entries

  /// Applies an entry; of several circles that a deadlock closes, `hints` says which one to name.
  mutating func apply(
    _ requests: [Request],
    time stamp: UInt64,
    hints: [Reply] = []
  ) -> [Reply] {
    index += 1
    time = max(time, stamp)
    events = []
    clear()
    var replies: [Reply] = []
    for (index, request) in requests.enumerated() {
      hint = index < hints.count ? hints[index] : nil
      replies.append(apply(request))
    }
    forget()
    let replyBytes = replies.flatMap { $0.encoded() }
    let eventBytes = events.flatMap { $0.event.encoded() }
    if !replyBytes.isEmpty || !eventBytes.isEmpty {
      let sums =
        UInt64(CRC32C(of: replyBytes.span).value) | UInt64(CRC32C(of: eventBytes.span).value) << 32
      transcript = StateHash.mix(transcript ^ sums)
    }
    return replies
  }

  private mutating func apply(_ request: Request) -> Reply {
    switch request.identity {
    case .oneShot(let id, let expiry): return apply(request.command, id, expiry.rawValue)
    case .session(let session, let sequence, let acked):
      return apply(
        request.command,
        session.rawValue,
        sequence.rawValue,
        acked: acked.rawValue
      )
    }
  }

  private mutating func apply(_ command: Command, _ id: OneShotID, _ expiry: UInt64) -> Reply {
    guard expiry >= time else { return .failure(Failure(.oneShotExpired, detail: time)) }
    guard expiry - time <= limits.oneShotAhead else {
      return .failure(Failure(.oneShotTooFarAhead, detail: time))
    }
    if let earlier = oneShots.first(where: { $0.id == id && $0.expiry == expiry }) {
      return Self.decoded(earlier.reply)
    }
    let remembered = oneShots.reduce(0) { $0 + 24 + $1.reply.count }
    guard oneShots.count < limits.oneShots, remembered < limits.oneShotBytes else {
      return .failure(Failure(.overloaded))
    }
    let reply = run(command, nil, 0)
    oneShots.append((id, expiry, reply.encoded()))
    return reply
  }

  private mutating func apply(
    _ command: Command,
    _ id: UInt64,
    _ sequence: UInt64,
    acked: UInt64
  ) -> Reply {
    guard let place = session(id) else { return .failure(Failure(.sessionExpired)) }
    guard sequence > 0 else {
      switch command {
      case .keepAlive, .renewLeases: return run(command, id, 0)
      default: return .failure(Failure(.malformed))
      }
    }
    guard sequence >= sessions[place].firstIncomplete else {
      // The reply is acknowledged, but while its claim lives a retry finds its place.
      let claim = claims.last { $0.session == id && $0.sequence == sequence && $0.hasWaited }
      return claim.map { .lock(state(of: $0)) } ?? .failure(Failure(.stale))
    }
    if let stored = sessions[place].stored.first(where: { $0.sequence == sequence }) {
      return Self.decoded(stored.reply)
    }
    let crowd = sessions.reduce(0) { $0 + $1.storedBytes }
    if acked > sessions[place].firstIncomplete {
      sessions[place].firstIncomplete = acked
      trim(place)
    }
    guard sequence < sessions[place].firstIncomplete + limits.requestWindow else {
      return .failure(Failure(.windowExceeded))
    }
    guard sessions[place].storedBytes < limits.storedReplyBytes else {
      return .failure(Failure(.storedReplyLimit))
    }
    guard crowd < limits.allStoredReplyBytes else { return .failure(Failure(.overloaded)) }
    let reply = run(command, id, sequence)
    if let place = session(id) { sessions[place].stored.append((sequence, reply.encoded())) }
    return reply
  }

  private mutating func trim(_ place: Int) {
    while let first = sessions[place].stored.first,
      first.sequence < sessions[place].firstIncomplete
    {
      sessions[place].stored.removeFirst()
    }
  }

  static func decoded(_ bytes: [UInt8]) -> Reply {
    do { return try Reply(decodingAll: bytes) } catch { return .failure(Failure(.malformed)) }
  }

  func session(_ id: UInt64) -> Int? {
    sessions.firstIndex { $0.id == id && $0.deadline > time }
  }

  func lease(_ id: UInt64) -> Int? { leases.firstIndex { $0.id == id && $0.deadline > time } }

  // MARK: Commands

  private mutating func run(_ command: Command, _ session: UInt64?, _ sequence: UInt64) -> Reply {
    do throws(Failure) {
      return try execute(command, session, sequence)
    } catch {
      return .failure(error)
    }
  }

  private mutating func execute(
    _ command: Command,
    _ session: UInt64?,
    _ sequence: UInt64
  ) throws(Failure) -> Reply {
    switch command {
    case .operation(let operation): return try execute(operation, session ?? 0)
    case .openSession(let open): return try self.open(open)
    case .keepAlive:
      guard let session, let place = self.session(session) else {
        throw Failure(.sessionRequired)
      }
      sessions[place].deadline = max(
        sessions[place].deadline,
        time + sessions[place].ttl
      )
      return .done
    case .closeSession:
      guard let session else { throw Failure(.sessionRequired) }
      endSession(session, isClean: true)
      return .done
    case .outcome(let outcome): return .outcome(try tell(outcome))
    case .grantLease(let ttl):
      let id = try makeLease(ttl, owner: session ?? 0, isOfOneKey: false)
      return .leaseGranted(id: id, ttl: ttl)
    case .renewLeases(let ids): return .renewed(ids.map { renew($0) })
    case .revokeLease(let id):
      guard let place = lease(id), !leases[place].isOfOneKey else {
        throw Failure(.leaseNotFound, detail: id)
      }
      endLease(id)
      return .done
    case .compact(let revision):
      guard revision.rawValue <= self.revision else {
        throw Failure(.futureRevision, detail: self.revision)
      }
      oldest = max(oldest, revision.rawValue)
      return .done
    default: return try executeOnLocks(command, session, sequence)
    }
  }

  private mutating func open(_ open: OpenSession) throws(Failure) -> Reply {
    guard (100...366 * 86_400_000).contains(open.ttl) else {
      throw Failure(.invalidTTL, detail: open.ttl)
    }
    guard sessions.count < limits.sessions else {
      throw Failure(.tooManySessions, detail: UInt64(limits.sessions))
    }
    let ttl = open.ttl * 1_000_000
    let id = sessionIDs.next()
    sessions.append(Session(id: id, ttl: ttl, label: open.label, deadline: time + ttl))
    return .sessionOpened(
      SessionOpened(session: SessionID(id), ttl: open.ttl, time: ClusterTime(time))
    )
  }

  private mutating func tell(_ outcome: Outcome) throws(Failure) -> OutcomeReply {
    let sequence = outcome.sequence.rawValue
    guard let place = session(outcome.session.rawValue),
      sequence >= sessions[place].firstIncomplete
    else { return .forgotten }
    guard sequence < sessions[place].firstIncomplete + limits.requestWindow else {
      throw Failure(.windowExceeded)
    }
    let stored = sessions[place].stored.first { $0.sequence == sequence }
    guard let stored else {
      let reply = Reply.failure(Failure(.barred)).encoded()
      sessions[place].stored.append((sequence, reply))
      return .barred
    }
    switch Self.decoded(stored.reply) {
    case .failure(Failure(.barred)): return .barred
    case .lock(.waiting): return .waiting
    case let reply: return .executed(reply)
    }
  }

  // MARK: Leases and time

  mutating func makeLease(_ ttl: UInt64, owner: UInt64, isOfOneKey: Bool) throws(Failure) -> UInt64
  {
    guard (100...366 * 86_400_000).contains(ttl) else {
      throw Failure(.invalidTTL, detail: ttl)
    }
    guard leases.count < limits.leases else {
      throw Failure(.limitReached, detail: UInt64(limits.leases))
    }
    let id = leaseIDs.next()
    leases.append(
      Lease(
        id: id,
        ttl: ttl * 1_000_000,
        owner: owner,
        isOfOneKey: isOfOneKey,
        deadline: time + ttl * 1_000_000
      )
    )
    return id
  }

  private mutating func renew(_ id: UInt64) -> Bool {
    guard let place = lease(id), !leases[place].isOfOneKey else { return false }
    leases[place].deadline = max(leases[place].deadline, time + leases[place].ttl)
    return true
  }

  mutating func removeLease(_ id: UInt64) {
    guard leases.contains(where: { $0.id == id }) else { return }
    leases.removeAll { $0.id == id }
    leaseIDs.end(id)
  }

  private mutating func endLease(_ id: UInt64) {
    removeKeys(of: id)
    removeLease(id)
  }

  mutating func endSession(_ id: UInt64, isClean: Bool) {
    guard let place = sessions.firstIndex(where: { $0.id == id }) else { return }
    // No reply finds the session from here on, but locks still name it.
    sessions[place].stored = []
    sessions[place].deadline = 0
    for claim in claims.filter({ $0.session == id }).reversed() {
      removeClaim(claim.number, rests: !isClean)
    }
    removeKeys(of: id)
    sessions.removeAll { $0.id == id }
    sessionIDs.end(id)
  }

  /// Does what is due, the earliest first, and of what is due together in the order of kinds and ids.
  private mutating func clear() {
    oneShots.removeAll { $0.expiry < time }
    var reaps: [UInt64] = []
    while true {
      var due: [(time: UInt64, kind: Int, id: UInt64)] = []
      due += sessions.filter { !reaps.contains($0.id) }.map { ($0.deadline, 0, $0.id) }
      due += leases.map { ($0.deadline, 1, $0.id) }
      due += claims.filter { $0.token == 0 }.map { ($0.deadline, 2, claimIDOf[$0.number] ?? 0) }
      due += locks.filter { $0.restsUntil > 0 }.map { ($0.restsUntil, 3, $0.id) }
      due += reaps.map { (time, 4, $0) }
      guard let next = due.filter({ $0.time <= time }).min(by: <) else { return }
      switch next.kind {
      case 0: reaps.append(next.id)
      case 1: endLease(next.id)
      case 2:
        guard let claim = claims.first(where: { claimIDOf[$0.number] == next.id }) else { return }
        resolve(claim.number, .failure(Failure(.lockTimedOut)))
        removeClaim(claim.number, rests: false)
      case 3:
        guard let place = locks.firstIndex(where: { $0.id == next.id }) else { return }
        locks[place].restsUntil = 0
        advance([locks[place].name])
      default:
        reaps.removeAll { $0 == next.id }
        endSession(next.id, isClean: false)
      }
    }
  }

  var nextDeadline: UInt64? {
    let times =
      sessions.map { $0.deadline } + leases.map { $0.deadline }
      + claims.filter { $0.token == 0 && $0.deadline < .max }.map { $0.deadline }
      + locks.map { $0.restsUntil }.filter { $0 > time } + oneShots.map { $0.expiry + 1 }
    return times.min()
  }
}
