internal import RoostWire

/// What the operations of one command share.
struct Execution {
  let session: SessionID
  /// Operations and compares that may still be done, and keys changed.
  var stepsLeft: Int
  /// Keys that its ranges and deletions may still look at.
  var looks: Looks
  /// Leases made for keys with a time to live.
  var madeLeases: [UInt64] = []

  /// Counts something that takes time, and refuses when it is too much for one command.
  mutating func count(_ steps: Int = 1) throws(Failure) {
    guard steps <= stepsLeft else { throw Failure(.tooManyOperations) }
    stepsLeft -= steps
  }

  /// Counts the copying of a value that the request did not bring along.
  mutating func countCopy(of byteCount: Int) throws(Failure) { try count(byteCount / 4096) }
}

/// Commands on keys: each happens as a whole, in one revision, or not at all.
extension ReplicatedState {
  mutating func execute(
    _ operation: Operation,
    by caller: Caller,
    into output: inout [UInt8]
  ) throws(Failure) {
    var execution = Execution(
      session: caller.session,
      stepsLeft: limits.operations,
      looks: Looks(limits)
    )
    keyspace.begin(at: time.rawValue)
    let start = output.count
    do throws(Failure) {
      try run(operation, &execution, into: &output)
      guard output.count - start <= limits.replyBytes else {
        throw Failure(.replyTooLarge, detail: UInt64(limits.replyBytes))
      }
      commit()
      endUnused(execution.madeLeases)
    } catch {
      if has(.noRollBack) {
        commit()
      } else {
        keyspace.rollBack(isWhole: !limits.has(.rollsBackHalf))
      }
      endUnused(execution.madeLeases)
      throw error
    }
  }

  private mutating func run(
    _ operation: Operation,
    _ execution: inout Execution,
    into output: inout [UInt8]
  ) throws(Failure) {
    switch operation {
    case .put(let put): try run(put, &execution, into: &output)
    case .delete(let delete): try run(delete, &execution, into: &output)
    case .deleteRange(let delete): try run(delete, &execution, into: &output)
    case .update(let update): try run(update, &execution, into: &output)
    case .get(let get):
      try execution.count()
      try read(get, into: &output)
    case .range(let range):
      try execution.count()
      guard !execution.looks.isSpent else { throw Failure(.tooManyOperations) }
      try read(range, &execution.looks, into: &output)
    case .transaction(let transaction): try run(transaction, &execution, into: &output)
    }
  }

  /// The revision that a reply within the running command names.
  var visibleRevision: UInt64 {
    keyspace.hasChanges ? keyspace.pendingRevision : keyspace.revision
  }

  private mutating func run(
    _ put: Put,
    _ execution: inout Execution,
    into output: inout [UInt8]
  ) throws(Failure) {
    try execution.count()
    let lease = try admit(put.key, put.options, &execution)
    let previous = put.options.wantsPrevious ? keyspace.find(put.key.span) : nil
    let made = keyspace.put(put.key.span, put.value.span, lease: lease)
    Self.append(made, number: nil, previous, to: &output)
  }

  /// Appends the reply to a write.
  static func append(
    _ made: Keyspace.Written,
    number: Int64?,
    _ previous: Record?,
    to output: inout [UInt8]
  ) {
    // Code 0, kind 1 and the flags, at once: this is what every put answers.
    let flags: UInt32 = (previous == nil ? 0 : 1) | (number == nil ? 0 : 2)
    output.append(littleEndian: 0x0001_0000 | flags << 24)
    output.append(littleEndian: made.modified)
    output.append(littleEndian: made.version)
    if let number { output.append(littleEndian: number) }
    previous?.encode(into: &output)
  }

  /// Checks all that a write to one key depends on; answers what the key will live as long as.
  private mutating func admit(
    _ key: [UInt8],
    _ options: WriteOptions,
    _ execution: inout Execution
  ) throws(Failure) -> UInt64 {
    try checkGuard(options.lockGuard, of: key, &execution)
    if let condition = options.condition { try check(condition, of: key) }
    switch options.lifetime {
    case .unbounded: return 0
    case .kept: return keyspace.find(key.span)?.lease ?? 0
    case .lease(let id):
      let lives =
        liveSession(SessionID(id)) != nil || (liveLease(id) != nil && !isOfOneKey(id))
      guard lives else { throw Failure(.leaseNotFound, detail: id) }
      return id
    case .milliseconds(let ttl):
      let id = try makeLease(ttl: ttl, owner: execution.session, isOfOneKey: true)
      execution.madeLeases.append(id)
      return id
    }
  }

  /// Refuses a write whose grant is gone, or that needs one and brings none.
  private func checkGuard(
    _ lockGuard: LockGuard?,
    of key: [UInt8],
    _ execution: inout Execution
  ) throws(Failure) {
    if let lockGuard, !holds(lockGuard) { throw Failure(.fenced, bytes: lockGuard.lock) }
    let (lock, looks) = binding(of: key)
    // Where prefixes are bound as usual, two or three looks find the one that counts.
    try execution.count(max(looks - 4, 0))
    guard let lock else { return }
    guard lockGuard?.lock == lock else { throw Failure(.prefixBound, bytes: lock) }
  }

  private func check(_ condition: Condition, of key: [UInt8]) throws(Failure) {
    let record = keyspace.find(key.span)
    let holds =
      switch condition {
      case .absent: record == nil
      case .present: record != nil
      case .version(let version): record?.version ?? 0 == version
      case .modified(let revision): record?.modified ?? 0 == revision.rawValue
      case .value(let value): record?.hasValue(value) ?? false
      }
    guard holds || has(.conditionIgnored) else {
      throw Failure(.conditionFailed, detail: record?.modified ?? 0)
    }
  }

  private mutating func run(
    _ delete: Delete,
    _ execution: inout Execution,
    into output: inout [UInt8]
  ) throws(Failure) {
    try execution.count()
    _ = try admit(delete.key, delete.options, &execution)
    let removed = keyspace.remove(delete.key.span).map { [$0] } ?? []
    append(removed, count: removed.count, delete.options.wantsPrevious, more: false, to: &output)
  }

  /// Appends the reply to a deletion.
  private func append(
    _ removed: [Record],
    count: Int,
    _ wantsPrevious: Bool,
    more: Bool,
    to output: inout [UInt8]
  ) {
    output.append(littleEndian: UInt16(0))
    output.append(2)
    output.append(littleEndian: visibleRevision)
    output.append(littleEndian: UInt64(count))
    output.append(more ? 1 : 0)
    output.append(littleEndian: UInt32(wantsPrevious ? removed.count : 0))
    if wantsPrevious { for record in removed { record.encode(into: &output) } }
  }

  private mutating func run(
    _ delete: DeleteRange,
    _ execution: inout Execution,
    into output: inout [UInt8]
  ) throws(Failure) {
    let range = delete.range
    let count = keyspace.map.liveCount(from: range.start.span, to: range.end)
    let taken = delete.limit.map { min(count, Int($0), execution.stepsLeft) } ?? count
    guard taken <= execution.stepsLeft else {
      throw Failure(.tooManyOperations, detail: UInt64(count))
    }
    try execution.count(max(taken, 1))
    let (removed, byteCount) = firstRecords(in: range, taken, &execution.looks)
    guard removed.count == taken || (delete.limit != nil && !removed.isEmpty) else {
      throw Failure(.tooManyOperations, detail: UInt64(count))
    }
    if delete.wantsPrevious, byteCount > limits.replyBytes {
      throw Failure(.replyTooLarge, detail: UInt64(limits.replyBytes))
    }
    if locks.bindings.count > 0 || delete.lockGuard != nil {
      for record in removed { try checkGuard(delete.lockGuard, of: record.key, &execution) }
    }
    for record in removed { record.withKey { key in _ = keyspace.remove(key) } }
    append(
      removed,
      count: removed.count,
      delete.wantsPrevious,
      more: removed.count < count,
      to: &output
    )
  }

  /// The first `count` records of a range, or fewer if that would take too many looks; and their bytes.
  private func firstRecords(
    in range: KeyRange,
    _ count: Int,
    _ looks: inout Looks
  ) -> (records: [Record], byteCount: Int) {
    var records: [Record] = []
    var byteCount = 0
    keyspace.map.visit(from: range.start.span, to: range.end, liveOnly: true) { record in
      guard records.count < count, !looks.isSpent else { return false }
      looks.count(isThere: !record.isTombstone)
      guard !record.isTombstone else { return true }
      records.append(record)
      byteCount += record.encodedByteCount(withValue: true)
      return true
    }
    return (records, byteCount)
  }

  private mutating func run(
    _ update: Update,
    _ execution: inout Execution,
    into output: inout [UInt8]
  ) throws(Failure) {
    try execution.count()
    let lease = try admit(update.key, update.options, &execution)
    let old = keyspace.find(update.key.span)
    try execution.countCopy(of: old?.valueByteCount ?? 0)
    let (value, number) = try Self.value(of: old, changedBy: update.change)
    let made = keyspace.put(update.key.span, value.span, lease: lease)
    Self.append(made, number: number, update.options.wantsPrevious ? old : nil, to: &output)
  }

  private static func value(
    of old: Record?,
    changedBy change: Update.Change
  ) throws(Failure) -> (value: [UInt8], number: Int64) {
    if case .append(let bytes) = change {
      let value = (old?.value ?? []) + bytes
      guard value.count <= CommandLimits.valueByteCount else { throw Failure(.tooLarge) }
      return (value, Int64(value.count))
    }
    let number = try number(of: old, changedBy: change)
    return (Array(String(number).utf8), number)
  }

  private static func number(
    of old: Record?,
    changedBy change: Update.Change
  ) throws(Failure) -> Int64 {
    var current: Int64?
    if let old {
      guard let number = Int64(decimal: old.value) else { throw Failure(.notANumber) }
      current = number
    }
    switch change {
    case .add(let summand):
      let (sum, overflow) = (current ?? 0).addingReportingOverflow(summand)
      guard !overflow else { throw Failure(.numberOverflow) }
      return sum
    case .min(let bound): return min(current ?? bound, bound)
    case .max(let bound): return max(current ?? bound, bound)
    case .append: throw Failure(.notANumber)
    }
  }
}

/// Transactions: questions, then one of two lists of operations.
extension ReplicatedState {
  private mutating func run(
    _ transaction: Transaction,
    _ execution: inout Execution,
    into output: inout [UInt8]
  ) throws(Failure) {
    var holds = true
    for compare in transaction.compares {
      try execution.count()
      guard self.holds(compare) else {
        holds = false
        break
      }
    }
    let operations = holds ? transaction.then : transaction.otherwise
    let start = output.count
    output.append(littleEndian: UInt16(0))
    output.append(5)
    output.append(littleEndian: UInt64(0))
    output.append(holds ? 1 : 0)
    output.append(littleEndian: UInt16(operations.count))
    for (place, operation) in operations.enumerated() {
      if place % OrderedMap.lookAheadWidth == 0 { lookAhead(in: operations[place...]) }
      if has(.lastOperationForgotten), place > 0, place + 1 == operations.count { continue }
      let resultStart = output.count
      output.append(littleEndian: UInt32(0))
      try run(operation, &execution, into: &output)
      output.overwrite(
        at: resultStart,
        littleEndian: UInt32(output.count - resultStart - 4)
      )
      guard output.count - start <= limits.replyBytes else {
        throw Failure(.replyTooLarge, detail: UInt64(limits.replyBytes))
      }
    }
    output.overwrite(at: start + 3, littleEndian: visibleRevision)
  }

  private func holds(_ compare: Compare) -> Bool {
    let relation = compare.relation
    switch compare.subject {
    case .created(let key, let number):
      return relation.holds(keyspace.find(key.span)?.created ?? 0, number)
    case .modified(let key, let number):
      return relation.holds(keyspace.find(key.span)?.modified ?? 0, number)
    case .version(let key, let number):
      return relation.holds(keyspace.find(key.span)?.version ?? 0, number)
    case .lease(let key, let number):
      return relation.holds(keyspace.find(key.span)?.lease ?? 0, number)
    case .value(let key, let value):
      let order = keyspace.find(key.span).map { $0.compareValue(to: value) }
      return relation.holds(order ?? (value.isEmpty ? 0 : -1), 0)
    case .exists(let key, let exists):
      return relation.holds(keyspace.find(key.span) == nil ? 0 : 1, exists ? 1 : 0)
    case .count(let range, let number):
      let count = keyspace.map.liveCount(from: range.start.span, to: range.end)
      return relation.holds(UInt64(count), number)
    case .lockHeld(let lockGuard):
      return relation.holds(holds(lockGuard) ? 1 : 0, 1)
    }
  }
}

extension Compare.Relation {
  /// Whether `left` stands to `right` in this relation.
  func holds<Value: Comparable>(_ left: Value, _ right: Value) -> Bool {
    switch self {
    case .equal: left == right
    case .notEqual: left != right
    case .less: left < right
    case .lessOrEqual: left <= right
    case .greater: left > right
    case .greaterOrEqual: left >= right
    }
  }
}

extension Record {
  func hasValue(_ value: [UInt8]) -> Bool {
    valueByteCount == value.count && compareValue(to: value) == 0
  }

  /// Below 0 if this record's value comes bytewise before `other`, 0 if it is the same, else above 0.
  func compareValue(to other: [UInt8]) -> Int {
    withValue { value in Self.compare(value, other.span) }
  }
}

extension Int64 {
  /// The number that decimal text says, and nothing but it: an optional minus and 1 to 19 digits.
  init?(decimal text: [UInt8]) {
    let isNegative = text.first == UInt8(ascii: "-")
    let digits = text.dropFirst(isNegative ? 1 : 0)
    guard !digits.isEmpty, digits.count <= 19 else { return nil }
    var number: Int64 = 0
    for digit in digits {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) else { return nil }
      let (tenfold, overflow) = number.multipliedReportingOverflow(by: 10)
      let value = Int64(digit - UInt8(ascii: "0"))
      let (sum, carry) =
        isNegative
        ? tenfold.subtractingReportingOverflow(value) : tenfold.addingReportingOverflow(value)
      guard !overflow, !carry else { return nil }
      number = sum
    }
    self = number
  }
}
