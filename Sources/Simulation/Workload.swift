import RoostClientCore
import RoostWire

/// What clients ask for, and how often each.
package struct WorkloadPlan: Equatable, Sendable {
  package var keyCount: UInt64 = 4
  package var reads: UInt64 = 4
  package var serializableReads: UInt64 = 1
  package var puts: UInt64 = 4
  package var deletes: UInt64 = 1
  package var conditionalPuts: UInt64 = 2
  package var adds: UInt64 = 2
  /// Transactions that move a number from one account to another.
  package var transfers: UInt64 = 1
  /// Reads of all accounts.
  package var sums: UInt64 = 1
  package var locks: UInt64 = 1
  package var outcomes: UInt64 = 1
  /// Keys that live as long as a lease, a session or some time, and what becomes of leases.
  package var leases: UInt64 = 1
  /// Pages of ranges, at all levels and at old revisions.
  package var pages: UInt64 = 1
  /// Other changes: deletions of ranges, least, greatest and longer values, history that is given up.
  package var rarities: UInt64 = 1
  /// For how long locks rest at most, in milliseconds, if their holder dies.
  var restLimit: UInt64 = 400
  /// How many of a hundred grants are kept for as long as the holder lives.
  var keptGrants: UInt64 = 3
  /// How many of a hundred reads of one key count on the leader's lease.
  var leaseReads: UInt64 = 25
  /// The most bytes with which a value is filled up.
  package var fillLimit: UInt64 = 40

  static let accountCount: UInt64 = 4
  static let lockCount: UInt64 = 2

  package init() {}

  mutating func draw(_ random: inout SplitMix64) {
    keyCount = random.draw(from: 1...8)
    reads = random.draw(from: 0...6)
    serializableReads = random.draw(from: 0...3)
    puts = random.draw(from: 1...6)
    deletes = random.draw(from: 0...2)
    conditionalPuts = random.draw(from: 0...3)
    adds = random.draw(from: 0...3)
    transfers = random.draw(from: 0...2)
    sums = random.draw(from: 0...2)
    locks = random.draw(from: 0...3)
    outcomes = random.draw(from: 0...1)
    leases = random.draw(from: 0...2)
    pages = random.draw(from: 0...2)
    rarities = random.draw(from: 0...1)
  }

  private var weights: [UInt64] {
    [
      reads, serializableReads, puts, deletes, conditionalPuts, adds, transfers, sums, locks,
      outcomes, leases, pages, rarities,
    ]
  }

  /// What a client asks next; `number` is used for nothing else in the run.
  func draw(
    _ random: inout SplitMix64,
    number: UInt64,
    for client: SimulatedClient
  ) -> CallKind {
    let key = Array("k\(random.below(keyCount))".utf8)
    var pick = random.below(weights.reduce(0, +))
    let kind = weights.firstIndex { weight in
      guard pick >= weight else { return true }
      pick -= weight
      return false
    }
    let value = Self.value(number, fill: random.below(fillLimit + 1))
    switch kind {
    case 1: return .query(.serializable, .get(Get(key: key)))
    case 2: return .command(.operation(.put(Put(key: key, value: value))))
    case 3: return .command(.operation(.delete(Delete(key: key))))
    case 4: return .command(.operation(conditionalPut(key, value, &random)))
    case 5:
      let counter = Array("n\(random.below(2))".utf8)
      let change = Int64(random.below(9)) - 3
      return .command(.operation(.update(Update(key: counter, .add(change)))))
    case 6: return .command(.operation(transfer(&random)))
    case 7: return .query(.linearizable, .range(RangeQuery(KeyRange(prefix: Array("a".utf8)))))
    case 8 where client.plan.hasSession: return lockCall(&random, client)
    case 9 where client.plan.hasSession:
      if let outcome = client.outcomeToAsk(&random) { return .command(.outcome(outcome)) }
      return .query(.linearizable, .get(Get(key: key)))
    case 10: return leaseCall(&random, client, value)
    case 11: return pageQuery(&random, client)
    case 12: return rarity(&random, client, value)
    default:
      return .query(
        random.chance(leaseReads, in: 100) ? .lease : .linearizable,
        .get(Get(key: key))
      )
    }
  }

  private func conditionalPut(
    _ key: [UInt8],
    _ value: [UInt8],
    _ random: inout SplitMix64
  ) -> Operation {
    let condition: Condition =
      switch random.below(3) {
      case 0: .absent
      case 1: .present
      default: .version(random.draw(from: 1...6))
      }
    return .put(Put(key: key, value: value, options: WriteOptions(condition: condition)))
  }

  /// Two additions whose sum is 0, behind a comparison that decides on the direction; some fail midway.
  private func transfer(_ random: inout SplitMix64) -> Operation {
    let from = random.below(Self.accountCount)
    let to = (from + 1 + random.below(Self.accountCount - 1)) % Self.accountCount
    let amount = Int64(random.draw(from: 1...9))
    func move(_ amount: Int64) -> [Operation] {
      [
        .update(Update(key: Self.account(from), .add(-amount))),
        .update(Update(key: Self.account(to), .add(amount))),
      ]
    }
    var then = move(amount)
    if random.chance(1, in: 8) {
      let impossible = WriteOptions(condition: .version(.max))
      then.insert(.put(Put(key: Self.account(to), value: [], options: impossible)), at: 1)
    }
    let subject = Compare.Subject.version(key: Self.account(from), random.below(40))
    return .transaction(
      Transaction(
        compares: [Compare(subject, .greaterOrEqual)],
        then: then,
        otherwise: move(-amount)
      )
    )
  }

  static func account(_ number: UInt64) -> [UInt8] { Array("a\(number)".utf8) }

  static func lockName(_ number: UInt64) -> [UInt8] { Array("lock \(number)".utf8) }

  /// Takes a lock, or tries to give back somebody's.
  private func lockCall(_ random: inout SplitMix64, _ client: SimulatedClient) -> CallKind {
    let lock = random.below(Self.lockCount)
    if random.chance(1, in: 6) {
      let token = client.knownTokens.last.map { $0 &- random.below(3) } ?? 1
      return .command(.release(Release(token: token, name: Self.lockName(lock))))
    }
    if random.chance(1, in: 30) { return .command(.forceRelease(Self.lockName(lock))) }
    let mode: Acquire.Mode = random.chance(1, in: 3) ? .shared : .exclusive
    var wants = [Acquire.Want(Self.lockName(lock), mode)]
    if random.chance(1, in: 5) {
      wants = [Acquire.Want(Array("pool".utf8), .permits(UInt32(random.draw(from: 1...2)), of: 3))]
    } else if random.chance(1, in: 6) {
      wants = (0..<Self.lockCount).map { Acquire.Want(Self.lockName($0), mode) }
    }
    let delay: UInt64 = random.chance(1, in: 4) ? random.below(restLimit) : 0
    let wait: UInt64 = [0, 0, 300, 2000, .max][Int(random.below(5))]
    let isReentrant = wants.count == 1 && random.chance(1, in: 8)
    return .command(.acquire(Acquire(wants, wait: wait, delay: delay, isReentrant: isReentrant)))
  }

  private func leaseCall(
    _ random: inout SplitMix64,
    _ client: SimulatedClient,
    _ value: [UInt8]
  ) -> CallKind {
    let key = Array("e\(random.below(4))".utf8)
    let lease = client.knownLeases.last
    switch random.below(7) {
    case 6:
      guard let lease else { return .command(.grantLease(ttl: 1000)) }
      return .command(.operation(failingAttachment(key, value, lease)))
    case 0: return .command(.grantLease(ttl: random.draw(from: 100...6000)))
    case 1:
      guard let lease else { return .command(.grantLease(ttl: 1000)) }
      return .command(random.chance(1, in: 2) ? .renewLeases([lease]) : .revokeLease(lease))
    case 2:
      let options = WriteOptions(lifetime: .milliseconds(random.draw(from: 100...3000)))
      return .command(.operation(.put(Put(key: key, value: value, options: options))))
    case 3:
      guard let session = client.machine.openSession else { fallthrough }
      let options = WriteOptions(lifetime: .lease(session.rawValue))
      return .command(.operation(.put(Put(key: key, value: value, options: options))))
    default:
      guard let lease else { return .command(.grantLease(ttl: 2000)) }
      let options = WriteOptions(lifetime: .lease(lease))
      return .command(.operation(.put(Put(key: key, value: value, options: options))))
    }
  }

  /// A transaction that attaches a key to a lease and fails then.
  private func failingAttachment(_ key: [UInt8], _ value: [UInt8], _ lease: UInt64) -> Operation {
    let impossible = WriteOptions(condition: .version(.max))
    let then: [Operation] = [
      .put(Put(key: key, value: value, options: WriteOptions(lifetime: .lease(lease)))),
      .put(Put(key: key, value: value, options: impossible)),
    ]
    return .transaction(Transaction(then: then))
  }

  private func pageQuery(_ random: inout SplitMix64, _ client: SimulatedClient) -> CallKind {
    let level = ReadLevel.allCases[Int(random.below(3))]
    let prefix = ["k", "e", "d", ""][Int(random.below(4))]
    var query = RangeQuery(prefix.isEmpty ? .everything : KeyRange(prefix: Array(prefix.utf8)))
    if random.chance(1, in: 5) { query.countOnly = true }
    if random.chance(1, in: 3) { query.limit = UInt32(random.draw(from: 1...3)) }
    if let seen = client.lastRevision, random.chance(1, in: 4) {
      query.revision = Revision(max(1, seen.rawValue - min(seen.rawValue, random.below(30))))
    }
    return .query(level, .range(query))
  }

  private func rarity(
    _ random: inout SplitMix64,
    _ client: SimulatedClient,
    _ value: [UInt8]
  ) -> CallKind {
    let key = Array("d\(random.below(6))".utf8)
    switch random.below(8) {
    case 0: return .command(.operation(.update(Update(key: Array("m0".utf8), .min(7)))))
    case 1: return .command(.operation(.update(Update(key: Array("m1".utf8), .max(9)))))
    case 2: return .command(.operation(.update(Update(key: Array("p".utf8), .append([0x2B])))))
    case 3:
      let range = KeyRange(from: key, to: Array("d9".utf8))
      return .command(.operation(.deleteRange(DeleteRange(range, wantsPrevious: true))))
    case 4:
      guard let seen = client.lastRevision, random.chance(1, in: 3) else { fallthrough }
      return .command(.compact(seen))
    default: return .command(.operation(.put(Put(key: key, value: value))))
    }
  }

  /// A value that no other put of the run writes.
  static func value(_ number: UInt64, fill: UInt64) -> [UInt8] {
    Array("\(number):".utf8) + [UInt8](repeating: 0x2E, count: Int(fill))
  }

  /// The number that stands at the front of a value.
  static func number(in value: [UInt8]) -> Int64? {
    let text = value.prefix { $0 != UInt8(ascii: ":") }
    return Int64(String(decoding: text, as: UTF8.self))
  }
}

extension SimulatedClient {
  /// What the lane does before anything else, because of what it did last.
  func takeNext(lane: Int) -> CallKind? { next.removeValue(forKey: lane) }

  /// Goes on with what an answer makes possible: writes under a lock that was granted, then gives it back.
  func learn(_ call: RecordedCall, lane: Int, _ workload: WorkloadPlan, at world: UInt64) {
    let keepsGrant = random.chance(workload.keptGrants, in: 100)
    let keepsLease = random.chance(1, in: 2)
    switch (call.kind, call.reply) {
    case (.command(.acquire(let acquire)), .lock(.granted(let token))):
      knownTokens.append(token)
      if knownTokens.count > 32 { knownTokens.removeFirst(16) }
      let name = acquire.wants[0].name
      let options = WriteOptions(lockGuard: LockGuard(lock: name, token: token))
      let value = WorkloadPlan.value(token, fill: 0)
      let key = Array("g".utf8) + name
      next[lane] = .command(.operation(.put(Put(key: key, value: value, options: options))))
    case (.command(.operation(.put(let put))), .some):
      guard let held = put.options.lockGuard, !keepsGrant else { return }
      next[lane] = .command(.release(Release(token: held.token, name: held.lock)))
    case (.command(.grantLease), .leaseGranted(let id, let ttl)):
      knownLeases.append(id)
      if keepsLease { keep(id, ttl: ttl, at: world) }
    case (.command(.revokeLease(let id)), _): forgetLease(id)
    default: break
    }
    lastRevision = call.revision ?? lastRevision
    newestRevision = max(newestRevision, call.revision ?? .zero)
    if case .failed = call.result, case .session(let session, let sequence, _) = call.identity {
      if sequence > .zero { doubts.append(Outcome(session: session, sequence: sequence)) }
    }
  }

  /// Has its machine renew a lease for as long as it can, and lets older ones go.
  private func keep(_ lease: UInt64, ttl: UInt64, at world: UInt64) {
    machine.keepLease(lease, ttl: .milliseconds(ttl), now: now(world), into: &effects)
    keptLeases.append(lease)
    if keptLeases.count > 4 { machine.stopKeepingLease(keptLeases.removeFirst()) }
  }

  private func forgetLease(_ lease: UInt64) {
    machine.stopKeepingLease(lease)
    keptLeases.removeAll { $0 == lease }
  }

  /// A request of which the client does not know what became.
  func outcomeToAsk(_ random: inout SplitMix64) -> Outcome? {
    guard !doubts.isEmpty else { return nil }
    return doubts.remove(at: Int(random.below(UInt64(doubts.count))))
  }
}
