import RoostStateMachine
import RoostWire

/// Draws requests of every kind over few names, so that they meet.
struct RandomWorkload {
  var random: SplitMix64
  var time: UInt64 = 1_000_000_000
  /// Sessions that were opened, also those that have ended.
  var sessions: [SessionID] = []
  private var sequences: [SessionID: UInt64] = [:]
  private var acknowledged: [SessionID: UInt64] = [:]
  private var sent: [Request] = []
  /// Numbers that replies named: tokens, leases, revisions.
  var tokens: [UInt64] = [1]
  var leases: [UInt64] = [1]
  var revision: UInt64 = 0

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// Learns ids from a reply, as a client would.
  mutating func learn(_ reply: Reply) {
    switch reply {
    case .sessionOpened(let opened): sessions.append(opened.session)
    case .leaseGranted(let id, _): leases.append(id)
    case .lock(.granted(let token)): tokens.append(token)
    case .written(let written):
      revision = max(revision, written.revision.rawValue)
      if let lease = written.previous?.lease, lease != 0 { leases.append(lease) }
    default: break
    }
    if tokens.count > 8 { tokens.removeFirst() }
    if leases.count > 8 { leases.removeFirst() }
    if sessions.count > 4 { sessions.removeFirst() }
  }

  mutating func batch() -> [Request] {
    if random.chance(1, in: 3) { time += random.below(300_000_000) }
    // Now and then a crowd, so that limits are met.
    let most: UInt64 = random.chance(1, in: 30) ? 30 : 4
    return (0..<random.below(most)).map { _ in request() }
  }

  mutating func request() -> Request {
    if !sent.isEmpty, random.chance(1, in: 12) {
      return sent[Int(random.below(UInt64(sent.count)))]
    }
    let request = freshRequest()
    sent.append(request)
    if sent.count > 30 { sent.removeFirst() }
    return request
  }

  private mutating func freshRequest() -> Request {
    guard !sessions.isEmpty, !random.chance(1, in: 8) else { return oneShot() }
    let session = sessions[Int(random.below(UInt64(sessions.count)))]
    if random.chance(1, in: 10) {
      let command: Command = random.chance(1, in: 2) ? .keepAlive : .renewLeases(leases)
      return Request(.session(session, .zero, firstIncomplete: .zero), command)
    }
    var sequence = sequences[session, default: 0] + 1
    if random.chance(1, in: 15) { sequence += random.below(3) }
    sequences[session] = max(sequence, sequences[session, default: 0])
    var acked = acknowledged[session, default: 1]
    if random.chance(1, in: 3) {
      acked = min(acked + random.below(8), sequence)
      acknowledged[session] = acked
    }
    acked = min(acked, sequence)
    return Request(
      .session(session, SequenceNumber(sequence), firstIncomplete: SequenceNumber(acked)),
      command()
    )
  }

  private mutating func oneShot() -> Request {
    let expiry = time + random.below(1_600_000_000)
    let id = OneShotID(high: random.below(2), low: random.next())
    let opens = sessions.count < 2 || random.chance(1, in: 4)
    let ttl = random.chance(1, in: 4) ? 50 + random.below(3000) : 5000 + random.below(60_000)
    return Request(
      .oneShot(id, expiry: ClusterTime(expiry)),
      opens ? .openSession(OpenSession(ttl: ttl, label: [1, 2])) : command()
    )
  }

  mutating func key() -> [UInt8] {
    let count = 1 + random.below(3)
    return (0..<count).map { _ in UInt8(97 + random.below(3)) }
  }

  private mutating func value() -> [UInt8] {
    switch random.below(4) {
    case 0: Array(String(Int64(bitPattern: random.next()) >> 50).utf8)
    case 1: []
    case 2: (0..<random.below(random.chance(1, in: 4) ? 200 : 40)).map { UInt8($0) }
    default: [UInt8(random.below(3))]
    }
  }

  mutating func range() -> KeyRange {
    switch random.below(4) {
    case 0: .everything
    case 1: KeyRange(prefix: key())
    case 2: KeyRange(from: key(), to: nil)
    default: KeyRange(from: key(), to: key())
    }
  }

  private mutating func token() -> UInt64 {
    let newest = min(tokens.count, random.chance(1, in: 3) ? 8 : 2)
    return tokens[tokens.count - 1 - Int(random.below(UInt64(newest)))]
  }

  private mutating func lease() -> UInt64 { leases[Int(random.below(UInt64(leases.count)))] }
  private mutating func lockName() -> [UInt8] { [UInt8(76 + random.below(3))] }
  private mutating func aRevision() -> Revision { Revision(random.below(revision + 3)) }

  private mutating func lockGuard() -> LockGuard { LockGuard(lock: lockName(), token: token()) }

  private mutating func options(forDelete: Bool = false) -> WriteOptions {
    var options = WriteOptions()
    guard random.chance(1, in: 2) else { return options }
    options.wantsPrevious = random.chance(1, in: 2)
    if !forDelete {
      switch random.below(6) {
      case 0: options.lifetime = .kept
      case 1: options.lifetime = .lease(lease())
      case 2: options.lifetime = .milliseconds(90 + random.below(1000))
      case 3: options.lifetime = .lease(sessions.last?.rawValue ?? 9)
      default: break
      }
    }
    if random.chance(1, in: 4) { options.lockGuard = lockGuard() }
    switch random.below(14) {
    case 0: options.condition = .absent
    case 1: options.condition = .present
    case 2: options.condition = .version(random.below(4))
    case 3: options.condition = .modified(aRevision())
    case 4: options.condition = .value(value())
    default: break
    }
    return options
  }

  mutating func operation(depth: Int = 3) -> Operation {
    switch random.below(depth > 0 ? 12 : 10) {
    case 0...3: return .put(Put(key: key(), value: value(), options: options()))
    case 4: return .delete(Delete(key: key(), options: options(forDelete: true)))
    case 5:
      let limit: UInt32? = random.chance(1, in: 2) ? UInt32(random.below(4)) : nil
      return .deleteRange(
        DeleteRange(
          range(),
          wantsPrevious: random.chance(1, in: 2),
          lockGuard: random.chance(1, in: 5) ? lockGuard() : nil,
          limit: limit
        )
      )
    case 6, 7:
      let key = random.chance(1, in: 2) ? [110] : key()
      return .update(Update(key: key, change(), options: options()))
    case 8: return .get(get())
    case 9: return .range(rangeQuery())
    default: return .transaction(transaction(depth: depth - 1))
    }
  }

  private mutating func change() -> Update.Change {
    switch random.below(5) {
    case 0: .add(Int64(bitPattern: random.next()) >> random.below(60))
    case 1: .min(Int64(random.below(100)) - 50)
    case 2: .max(Int64(random.below(100)) - 50)
    case 3: random.chance(1, in: 4) ? .append(value()) : .max(.max - 5)
    default: .add(1)
    }
  }

  mutating func get() -> Get {
    Get(key: key(), revision: random.chance(1, in: 2) ? .zero : aRevision())
  }

  mutating func rangeQuery() -> RangeQuery {
    var query = RangeQuery(range())
    if random.chance(1, in: 2) { query.revision = aRevision() }
    if random.chance(1, in: 2) { query.limit = UInt32(random.below(5)) }
    if random.chance(1, in: 4) { query.byteLimit = UInt32(random.below(300)) }
    query.isReverse = random.chance(1, in: 3)
    query.keysOnly = random.chance(1, in: 3)
    query.countOnly = random.chance(1, in: 5)
    if random.chance(1, in: 4) {
      let low = aRevision()
      query.filter = RangeQuery.Filter(
        modified: low...Revision(low.rawValue + random.below(30)),
        created: Revision(0)...Revision(random.below(revision + 10))
      )
    }
    return query
  }

  private mutating func transaction(depth: Int) -> Transaction {
    let compares = (0..<random.below(3)).map { _ in compare() }
    let then = (0..<random.below(4)).map { _ in operation(depth: depth) }
    let otherwise = (0..<random.below(3)).map { _ in operation(depth: depth) }
    return Transaction(compares: compares, then: then, otherwise: otherwise)
  }

  private mutating func compare() -> Compare {
    let relation = Compare.Relation(rawValue: UInt8(random.below(6))) ?? .equal
    switch random.below(8) {
    case 0: return Compare(.created(key: key(), random.below(revision + 2)), relation)
    case 1: return Compare(.modified(key: key(), random.below(revision + 2)), relation)
    case 2: return Compare(.version(key: key(), random.below(4)), relation)
    case 3: return Compare(.lease(key: key(), lease()), relation)
    case 4: return Compare(.value(key: key(), value()), relation)
    case 5: return Compare(.exists(key: key(), random.chance(1, in: 2)), relation)
    case 6: return Compare(.count(range(), random.below(6)), relation)
    default: return Compare(.lockHeld(lockGuard()), relation)
    }
  }

  mutating func command() -> Command {
    switch random.below(30) {
    case 0...11: return .operation(operation())
    case 12...18: return .acquire(acquire())
    case 19...22:
      return .release(Release(token: token(), name: random.chance(1, in: 3) ? [] : lockName()))
    case 23: return .grantLease(ttl: 90 + random.below(2000))
    case 24: return random.chance(1, in: 2) ? .revokeLease(lease()) : .renewLeases(leases)
    case 25: return .cancelAcquire(SequenceNumber(random.below(20)))
    case 26:
      guard random.chance(1, in: 3) else { return .forceRelease(lockName()) }
      return random.chance(1, in: 3)
        ? .bindPrefix(BindPrefix(prefix: key(), lock: lockName())) : .unbindPrefix(key())
    case 27: return .compact(Revision(random.below(revision + 2)))
    case 28:
      return .outcome(
        Outcome(
          session: sessions.last ?? SessionID(3),
          sequence: SequenceNumber(1 + random.below(40))
        )
      )
    default: return random.chance(1, in: 8) ? .closeSession : .keepAlive
    }
  }

  private mutating func acquire() -> Acquire {
    let count = random.chance(1, in: 4) ? 1 + random.below(3) : 1
    let wants = (0..<count).map { _ in
      let mode: Acquire.Mode
      switch random.below(5) {
      case 0, 1: mode = .exclusive
      case 2, 3: mode = .shared
      default: mode = .permits(1 + UInt32(random.below(2)), of: 2 + UInt32(random.below(2)))
      }
      return Acquire.Want(lockName(), mode)
    }
    let waits: [UInt64] = [0, 200, 1000, .max]
    return Acquire(
      wants,
      owner: random.below(2),
      wait: waits[Int(random.below(4))],
      delay: random.below(2) * 300,
      isReentrant: count == 1 && random.chance(1, in: 2)
    )
  }

  mutating func query() -> Query {
    switch random.below(10) {
    case 0...2: .get(get())
    case 3...5: .range(rangeQuery())
    case 6: .lock(lockName(), limit: UInt32(random.below(4)))
    case 7: .locks(from: lockName(), limit: UInt32(random.below(4)))
    case 8: .lease(lease(), limit: 3)
    default: random.chance(1, in: 2) ? .leases(after: 0, limit: 9) : .sessions(after: 0, limit: 9)
    }
  }
}
