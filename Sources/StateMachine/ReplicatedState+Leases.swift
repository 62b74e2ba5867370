internal import RoostWire

/// Leases: granted, renewed and ended by cluster time.
extension ReplicatedState {
  /// The slot of a lease that has not ended.
  func liveLease(_ id: UInt64) -> UInt32? {
    guard let slot = leases.slot(of: id) else { return nil }
    return leases.withElement(slot) { $0.isEnding || $0.deadline <= time.rawValue } ? nil : slot
  }

  /// Makes a lease of `ttl` milliseconds; answers its id.
  mutating func makeLease(
    ttl: UInt64,
    owner: SessionID,
    isOfOneKey: Bool
  ) throws(Failure) -> UInt64 {
    guard let deadline = deadline(ttl: ttl) else { throw Failure(.invalidTTL, detail: ttl) }
    guard leases.count < limits.leases, leases.hasRoom else {
      throw Failure(.limitReached, detail: UInt64(limits.leases))
    }
    let slot = leases.insert { id in
      Lease(
        id: id,
        ttl: ttl * 1_000_000,
        owner: owner.rawValue,
        isOfOneKey: isOfOneKey,
        deadline: deadline
      )
    }
    let id = leases.id(ofSlot: slot)
    timers.insert(Timer(time: deadline, kind: .leaseEnd, id: id))
    return id
  }

  mutating func grantLease(
    ttl: UInt64,
    by caller: Caller,
    into output: inout AppliedOutput
  ) throws(Failure) {
    let id = try makeLease(ttl: ttl, owner: caller.session, isOfOneKey: false)
    output.reply(.leaseGranted(id: id, ttl: ttl))
  }

  mutating func renewLeases(_ ids: [UInt64], into output: inout AppliedOutput) {
    var lives: [Bool] = []
    lives.reserveCapacity(ids.count)
    let now = time.rawValue
    for id in ids {
      guard let slot = liveLease(id) else {
        lives.append(false)
        continue
      }
      let isRenewed = leases.update(slot) { lease in
        guard !lease.isOfOneKey else { return false }
        lease.deadline = max(lease.deadline, now.addingCapped(lease.ttl))
        return true
      }
      lives.append(isRenewed == true)
    }
    output.reply(.renewed(lives))
  }

  mutating func revokeLease(_ id: UInt64, into output: inout AppliedOutput) throws(Failure) {
    guard let slot = liveLease(id), leases[slot]?.isOfOneKey == false else {
      throw Failure(.leaseNotFound, detail: id)
    }
    leases.update(slot) { $0.isEnding = true }
    if !removeKeys(of: id) {
      timers.insert(Timer(time: time.rawValue, kind: .leaseReap, id: id))
    } else {
      leases.remove(slot)
    }
    output.reply(.done)
  }

  /// Removes keys that live as long as `owner`, one a step; answers whether none are left.
  mutating func removeKeys(of owner: UInt64) -> Bool {
    let limit = max(stepsLeft, 1)
    let start = Keyspace.attachmentKey(owner)
    let end = KeyRange(prefix: start).end
    var keys: [[UInt8]] = []
    keyspace.attachments.visit(from: start.span, to: end) { record in
      guard keys.count <= limit else { return false }
      keys.append(Array(record.key[8...]))
      return true
    }
    keyspace.begin(at: time.rawValue)
    for key in keys.prefix(limit) { keyspace.remove(key.span) }
    commit()
    stepsLeft -= min(keys.count, limit)
    return keys.count <= limit
  }

  /// Makes the running command's changes a revision, and ends leases of keys that are gone by it.
  mutating func commit() {
    guard keyspace.hasChanges else { return }
    for position in keyspace.transactionChanges {
      let (before, after) = keyspace.changes.leases(around: position)
      if before != 0, before != after { endIfOfOneKey(before) }
    }
    keyspace.commit()
  }

  /// Whether a lease was made by a write with a time to live.
  func isOfOneKey(_ id: UInt64) -> Bool {
    guard let slot = leases.slot(of: id) else { return false }
    return leases.withElement(slot) { $0.isOfOneKey }
  }

  /// Ends a lease that a write made, whose only key has another now, or none.
  private mutating func endIfOfOneKey(_ id: UInt64) {
    guard isOfOneKey(id), let slot = leases.slot(of: id) else { return }
    leases.remove(slot)
  }

  /// Ends leases that a command made and that no key has after all.
  mutating func endUnused(_ made: [UInt64]) {
    for id in made {
      let start = Keyspace.attachmentKey(id)
      guard keyspace.attachments.liveCount(from: start.span, to: KeyRange(prefix: start).end) == 0,
        let slot = leases.slot(of: id)
      else { continue }
      leases.remove(slot)
    }
  }

  /// A lease's timer: ends it, or puts off the timer of one that was renewed.
  mutating func leaseMayEnd(_ timer: Timer) {
    guard let slot = leases.slot(of: timer.id), let lease = leases[slot], !lease.isEnding else {
      _ = timers.removeFirst()
      return
    }
    guard lease.deadline <= timer.time else {
      return timers.replaceFirst(by: Timer(time: lease.deadline, kind: .leaseEnd, id: timer.id))
    }
    leases.update(slot) { $0.isEnding = true }
    reapLease(timer, slot)
  }

  /// Removes keys of a lease that has ended, as many as there are steps left.
  mutating func reapLease(_ timer: Timer, _ slot: UInt32) {
    _ = timers.removeFirst()
    if removeKeys(of: timer.id) {
      leases.remove(slot)
    } else {
      timers.insert(Timer(time: time.rawValue, kind: .leaseReap, id: timer.id))
    }
  }
}
