@testable import RoostStateMachine
import RoostWire

/// Keys: every state of every key is found by reading the log from its end.
extension Model {
  func current(_ key: [UInt8]) -> Version? { at(key, .max) }

  func at(_ key: [UInt8], _ revision: UInt64) -> Version? {
    log.last { $0.key == key && $0.revision <= revision }?.new
  }

  /// Keys that are there at a revision, in order.
  func keys(in range: KeyRange, at revision: UInt64 = .max) -> [Version] {
    var seen: [[UInt8]] = []
    for change in log where !seen.contains(change.key) { seen.append(change.key) }
    return seen.filter { $0.lies(in: range) }
      .sorted { $0.lexicographicallyPrecedes($1) }
      .compactMap { at($0, revision) }
  }

  private mutating func set(_ key: [UInt8], _ new: Version?) {
    // A second change of one transaction to a key is not one of its own.
    if let place = log.lastIndex(where: { $0.key == key }), log[place].revision == revision + 1 {
      log[place].new = new
    } else {
      log.append(
        Change(revision: revision + 1, time: time, key: key, new: new, old: current(key))
      )
    }
  }

  private mutating func put(_ key: [UInt8], _ value: [UInt8], lease: UInt64) -> Version {
    let old = current(key)
    let isSecond = old?.modified == revision + 1
    let new = Version(
      key: key,
      value: value,
      created: old?.created ?? revision + 1,
      modified: revision + 1,
      version: old.map { $0.version + (isSecond ? 0 : 1) } ?? 1,
      lease: lease
    )
    set(key, new)
    return new
  }

  private var visible: UInt64 { log.last?.revision == revision + 1 ? revision + 1 : revision }

  /// What the operations of one command have in common.
  struct Running {
    var session: UInt64
    var stepsLeft: Int
    /// Eighths of keys that may still be looked at.
    var looksLeft: Int
    var made: [UInt64] = []

    mutating func count(_ steps: Int = 1) throws(Failure) {
      guard steps <= stepsLeft else { throw Failure(.tooManyOperations) }
      stepsLeft -= steps
    }
  }

  mutating func execute(_ operation: Operation, _ session: UInt64) throws(Failure) -> Reply {
    var running = Running(
      session: session,
      stepsLeft: limits.operations,
      looksLeft: 8 * limits.operations
    )
    let saved = self
    do throws(Failure) {
      let reply = try run(operation, &running)
      guard reply.encoded().count <= limits.replyBytes else {
        throw Failure(.replyTooLarge, detail: UInt64(limits.replyBytes))
      }
      commit()
      for id in running.made where !log.contains(where: { isCurrent($0) && $0.new?.lease == id }) {
        removeLease(id)
      }
      return reply
    } catch {
      self = saved
      // Ids are used up although nothing came of them.
      for _ in running.made { _ = leaseIDs.next() }
      for id in running.made { leaseIDs.end(id) }
      throw error
    }
  }

  private func isCurrent(_ change: Change) -> Bool {
    change.new?.modified == current(change.key)?.modified
  }

  private mutating func commit() {
    guard visible > revision else { return }
    for change in log where change.revision == revision + 1 {
      guard let old = change.old, old.lease != 0, old.lease != change.new?.lease ?? 0 else {
        continue
      }
      if leases.contains(where: { $0.id == old.lease && $0.isOfOneKey }) { removeLease(old.lease) }
    }
    revision += 1
  }

  mutating func removeKeys(of owner: UInt64) {
    for version in keys(in: .everything) where version.lease == owner { set(version.key, nil) }
    commit()
  }

  private mutating func run(
    _ operation: Operation,
    _ running: inout Running
  ) throws(Failure) -> Reply {
    switch operation {
    case .put(let put):
      try running.count()
      let old = current(put.key)
      let lease = try admit(put.key, put.options, &running)
      let new = self.put(put.key, put.value, lease: lease)
      return written(new, nil, put.options.wantsPrevious ? old : nil)
    case .update(let update):
      try running.count()
      let old = current(update.key)
      let lease = try admit(update.key, update.options, &running)
      let (value, number) = try change(old?.value, update.change)
      let new = put(update.key, value, lease: lease)
      return written(new, number, update.options.wantsPrevious ? old : nil)
    case .delete(let delete):
      try running.count()
      _ = try admit(delete.key, delete.options, &running)
      let old = current(delete.key)
      if old != nil { set(delete.key, nil) }
      let previous = delete.options.wantsPrevious ? [old].compactMap { $0?.keyValue } : []
      return .deleted(
        Deleted(revision: Revision(visible), count: old == nil ? 0 : 1, previous: previous)
      )
    case .deleteRange(let delete): return try run(delete, &running)
    case .get(let get):
      try running.count()
      return try answer(get)
    case .range(let range):
      try running.count()
      guard running.looksLeft > 0 else { throw Failure(.tooManyOperations) }
      return try answer(range, &running.looksLeft)
    case .transaction(let transaction): return try run(transaction, &running)
    }
  }

  private func written(_ new: Version, _ number: Int64?, _ old: Version?) -> Reply {
    .written(
      Written(
        revision: Revision(new.modified),
        version: new.version,
        number: number,
        previous: old?.keyValue
      )
    )
  }

  private func change(
    _ old: [UInt8]?,
    _ change: Update.Change
  ) throws(Failure) -> ([UInt8], Int64) {
    if case .append(let bytes) = change {
      return ((old ?? []) + bytes, Int64((old ?? []).count + bytes.count))
    }
    var number: Int64?
    if let old {
      let text = String(decoding: old, as: UTF8.self)
      guard text.utf8.elementsEqual(old), !text.hasPrefix("+"), text.utf8.count <= 20,
        text.drop(while: { $0 == "-" }).count <= 19, let value = Int64(text)
      else { throw Failure(.notANumber) }
      number = value
    }
    let new: Int64
    switch change {
    case .add(let summand):
      let (sum, overflow) = (number ?? 0).addingReportingOverflow(summand)
      guard !overflow else { throw Failure(.numberOverflow) }
      new = sum
    case .min(let bound): new = min(number ?? bound, bound)
    case .max(let bound): new = max(number ?? bound, bound)
    case .append: new = 0
    }
    return (Array("\(new)".utf8), new)
  }

  private mutating func admit(
    _ key: [UInt8],
    _ options: WriteOptions,
    _ running: inout Running
  ) throws(Failure) -> UInt64 {
    try checkGuard(options.lockGuard, key)
    let old = current(key)
    let isMet =
      switch options.condition {
      case nil: true
      case .absent: old == nil
      case .present: old != nil
      case .version(let version): old?.version ?? 0 == version
      case .modified(let revision): old?.modified ?? 0 == revision.rawValue
      case .value(let value): old?.value == value
      }
    guard isMet else { throw Failure(.conditionFailed, detail: old?.modified ?? 0) }
    switch options.lifetime {
    case .unbounded: return 0
    case .kept: return old?.lease ?? 0
    case .lease(let id):
      let isLease = lease(id).map { !leases[$0].isOfOneKey } ?? false
      guard isLease || session(id) != nil else { throw Failure(.leaseNotFound, detail: id) }
      return id
    case .milliseconds(let ttl):
      let id = try makeLease(ttl, owner: running.session, isOfOneKey: true)
      running.made.append(id)
      return id
    }
  }

  private func checkGuard(_ lockGuard: LockGuard?, _ key: [UInt8]) throws(Failure) {
    if let lockGuard, !holds(lockGuard) { throw Failure(.fenced, bytes: lockGuard.lock) }
    let bound = bindings.filter { key.starts(with: $0.prefix) }
      .max { $0.prefix.count < $1.prefix.count }
    guard let bound else { return }
    guard lockGuard?.lock == bound.lock else { throw Failure(.prefixBound, bytes: bound.lock) }
  }

  private mutating func run(
    _ delete: DeleteRange,
    _ running: inout Running
  ) throws(Failure) -> Reply {
    let found = keys(in: delete.range)
    let wanted = delete.limit.map { min(found.count, Int($0), running.stepsLeft) } ?? found.count
    guard wanted <= running.stepsLeft else {
      throw Failure(.tooManyOperations, detail: UInt64(found.count))
    }
    try running.count(max(wanted, 1))
    var removed: [Version] = []
    for (_, version) in places(in: delete.range, at: .max)
    where removed.count < wanted && running.looksLeft > 0 {
      running.looksLeft -= version == nil ? 1 : 8
      if let version { removed.append(version) }
    }
    guard removed.count == wanted || (delete.limit != nil && !removed.isEmpty) else {
      throw Failure(.tooManyOperations, detail: UInt64(found.count))
    }
    let previous = delete.wantsPrevious ? removed.map { $0.keyValue } : []
    guard previous.reduce(0, { $0 + $1.encoded().count }) <= limits.replyBytes else {
      throw Failure(.replyTooLarge, detail: UInt64(limits.replyBytes))
    }
    for version in removed { try checkGuard(delete.lockGuard, version.key) }
    for version in removed { set(version.key, nil) }
    return .deleted(
      Deleted(
        revision: Revision(visible),
        count: UInt64(removed.count),
        more: removed.count < found.count,
        previous: previous
      )
    )
  }

  private mutating func run(
    _ transaction: Transaction,
    _ running: inout Running
  ) throws(Failure) -> Reply {
    var succeeded = true
    for compare in transaction.compares where succeeded {
      try running.count()
      succeeded = holds(compare)
    }
    var results: [Reply] = []
    for operation in succeeded ? transaction.then : transaction.otherwise {
      results.append(try run(operation, &running))
      let soFar = Reply.transaction(
        TransactionReply(revision: .zero, succeeded: true, results: results)
      )
      guard soFar.encoded().count <= limits.replyBytes else {
        throw Failure(.replyTooLarge, detail: UInt64(limits.replyBytes))
      }
    }
    return .transaction(
      TransactionReply(revision: Revision(visible), succeeded: succeeded, results: results)
    )
  }

  private func holds(_ compare: Compare) -> Bool {
    func test<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
      switch compare.relation {
      case .equal: left == right
      case .notEqual: left != right
      case .less: left < right
      case .lessOrEqual: left <= right
      case .greater: left > right
      case .greaterOrEqual: left >= right
      }
    }
    switch compare.subject {
    case .created(let key, let number): return test(current(key)?.created ?? 0, number)
    case .modified(let key, let number): return test(current(key)?.modified ?? 0, number)
    case .version(let key, let number): return test(current(key)?.version ?? 0, number)
    case .lease(let key, let number): return test(current(key)?.lease ?? 0, number)
    case .value(let key, let value):
      let own = current(key)?.value ?? []
      let order = own == value ? 0 : (own.lexicographicallyPrecedes(value) ? -1 : 1)
      return test(order, 0)
    case .exists(let key, let exists): return test(current(key) == nil ? 0 : 1, exists ? 1 : 0)
    case .count(let range, let number): return test(UInt64(keys(in: range).count), number)
    case .lockHeld(let lockGuard): return test(holds(lockGuard) ? 1 : 0, 1)
    }
  }

  // MARK: Reading

  private func readable(_ asked: Revision) throws(Failure) -> UInt64 {
    guard asked > .zero else { return visible }
    guard asked.rawValue >= oldest else { throw Failure(.compacted, detail: oldest) }
    guard asked.rawValue <= revision else { throw Failure(.futureRevision, detail: revision) }
    return asked.rawValue
  }

  func answer(_ get: Get) throws(Failure) -> Reply {
    let revision = try readable(get.revision)
    return .value(revision: Revision(revision), at(get.key, revision)?.keyValue)
  }

  /// The keys that the real one has in its tree, as they were at a revision: removed ones too, while history has them.
  private func places(
    in range: KeyRange,
    at revision: UInt64
  ) -> [(key: [UInt8], version: Version?)] {
    var seen: [[UInt8]] = []
    for change in log where !seen.contains(change.key) && change.key.lies(in: range) {
      seen.append(change.key)
    }
    return seen.filter { key in
      current(key) != nil || log.lastIndex { $0.key == key } ?? -1 >= forgotten
    }.sorted { $0.lexicographicallyPrecedes($1) }.map { ($0, at($0, revision)) }
  }

  func answer(_ query: RangeQuery) throws(Failure) -> Reply {
    var looksLeft = 8 * limits.operations
    return try answer(query, &looksLeft)
  }

  private func passes(_ version: Version, _ query: RangeQuery) -> Bool {
    guard let filter = query.filter else { return true }
    return filter.modified.contains(Revision(version.modified))
      && filter.created.contains(Revision(version.created))
  }

  func answer(_ query: RangeQuery, _ looksLeft: inout Int) throws(Failure) -> Reply {
    let revision = try readable(query.revision)
    var count: UInt64 = 0
    var next: [UInt8]?
    if query.countOnly, query.revision == .zero, query.filter == nil {
      count = UInt64(keys(in: query.range).count)
      return .page(Page(revision: Revision(revision), count: count, next: nil, entries: []))
    }
    let isPinned = query.revision > .zero
    var places = places(in: query.range, at: isPinned ? revision : .max)
    if query.isReverse { places.reverse() }
    let keyLimit = min(query.limit == 0 ? .max : Int(query.limit), limits.pageKeys)
    let byteLimit = min(query.byteLimit == 0 ? .max : Int(query.byteLimit), limits.pageBytes)
    var entries: [KeyValue] = []
    var byteCount = 0
    for (key, version) in places {
      next = query.isReverse ? key + [0] : key
      guard looksLeft > 0 else { break }
      looksLeft -= version == nil ? 1 : 8
      next = nil
      guard let version, passes(version, query) else { continue }
      count += 1
      if query.countOnly { continue }
      let entry = query.keysOnly ? version.keyValue.withoutValue : version.keyValue
      let size = entry.encoded().count
      if entries.count >= keyLimit || (!entries.isEmpty && byteCount + size > byteLimit) {
        next = query.isReverse ? key + [0] : key
        count -= 1
        break
      }
      byteCount += size
      entries.append(entry)
    }
    return .page(
      Page(revision: Revision(revision), count: count, next: next, entries: entries)
    )
  }

  // MARK: History and hash

  mutating func forget() {
    while forgotten < log.count {
      let change = log[forgotten]
      let isNeeded =
        change.revision > oldest
        && (revision - change.revision < limits.historyRevisions
          || (time - min(time, change.time) <= limits.historyAge
            && historyBytes <= limits.historyBytes))
      guard !isNeeded else { return }
      forgotten += 1
      oldest = max(oldest, change.revision)
    }
  }

  private var historyBytes: UInt64 {
    log[forgotten...].reduce(0) { sum, change in
      sum + 128 + UInt64(change.old.map { $0.key.count + $0.value.count } ?? 0)
    }
  }

  var stateHash: UInt64 {
    var sum: UInt64 = 0
    for version in keys(in: .everything) {
      let record = Record(
        key: version.key.span,
        value: version.value.span,
        Record.Numbers(
          modified: version.modified,
          created: version.created,
          version: version.version,
          lease: version.lease,
          position: 0
        )
      )
      sum &+= record.hash
    }
    var hash = StateHash.mix(sum ^ StateHash.mix(transcript))
    for number in [revision, oldest, time, index] { hash = StateHash.mix(hash ^ number) }
    return hash
  }
}

extension Model.Version {
  var keyValue: KeyValue {
    KeyValue(
      key: key,
      value: value,
      revisions: (Revision(created), Revision(modified)),
      version: version,
      lease: lease
    )
  }
}

extension KeyValue {
  var withoutValue: KeyValue {
    KeyValue(key: key, value: [], revisions: (created, modified), version: version, lease: lease)
  }
}

extension [UInt8] {
  func lies(in range: KeyRange) -> Bool {
    !lexicographicallyPrecedes(range.start)
      && range.end.map { lexicographicallyPrecedes($0) } ?? true
  }
}
