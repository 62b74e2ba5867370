internal import RoostWire

/// Lists of what there is, for people and tools; each is bounded and goes on after the last id or name.
extension ReplicatedState {
  private func remaining(_ deadline: UInt64) -> UInt64 {
    (deadline - min(deadline, time.rawValue)) / 1_000_000
  }

  private func age(_ since: UInt64) -> UInt64 {
    (time.rawValue - min(since, time.rawValue)) / 1_000_000
  }

  /// The first slot to list after the object `id`: slots are listed in their order.
  private static func slot(after id: UInt64) -> Int { id == 0 ? 0 : Int(id >> 1 & 0xFF_FFFF) + 1 }

  func listSessions(after id: UInt64, _ limit: UInt32, into output: inout [UInt8]) {
    var list: [SessionInfo] = []
    let limit = min(Int(limit), limits.listed)
    var next = Self.slot(after: id)
    while list.count < limit, let slot = sessions.firstUsed(from: next) {
      next = slot + 1
      guard let session = sessions[UInt32(slot)] else { continue }
      list.append(
        SessionInfo(
          id: SessionID(session.id),
          ttl: session.ttl / 1_000_000,
          remaining: session.isEnding ? 0 : remaining(session.deadline),
          storedBytes: UInt64(session.replies.byteCount),
          attached: (keyCount(of: session.id), UInt64(session.claimCount)),
          label: session.label
        )
      )
    }
    Reply.inspection(.sessions(list)).encode(into: &output)
  }

  /// How many keys live as long as a lease or session.
  private func keyCount(of id: UInt64) -> UInt64 {
    let start = Keyspace.attachmentKey(id)
    let end = KeyRange(prefix: start).end
    return UInt64(keyspace.attachments.liveCount(from: start.span, to: end))
  }

  private func describe(_ lease: Lease) -> LeaseInfo {
    let left = lease.isEnding ? 0 : remaining(lease.deadline)
    return lifetime(lease.id, lease.ttl, left, owner: lease.owner)
  }

  /// A lease, or a session, which owns itself, as what keys live as long as.
  private func lifetime(_ id: UInt64, _ ttl: UInt64, _ left: UInt64, owner: UInt64) -> LeaseInfo {
    LeaseInfo(
      id: id,
      ttl: ttl / 1_000_000,
      remaining: left,
      owner: SessionID(owner),
      keyCount: keyCount(of: id)
    )
  }

  func listLeases(after id: UInt64, _ limit: UInt32, into output: inout [UInt8]) {
    var list: [LeaseInfo] = []
    let limit = min(Int(limit), limits.listed)
    var next = Self.slot(after: id)
    while list.count < limit, let slot = leases.firstUsed(from: next) {
      next = slot + 1
      guard let lease = leases[UInt32(slot)] else { continue }
      list.append(describe(lease))
    }
    Reply.inspection(.leases(list)).encode(into: &output)
  }

  func describe(
    lease id: UInt64,
    _ limit: UInt32,
    into output: inout [UInt8]
  ) throws(Failure) {
    let lease = liveLease(id).flatMap { leases[$0] }.map { describe($0) }
    let session = liveSession(SessionID(id)).flatMap { sessions[$0] }
    guard
      let info = lease
        ?? session.map({
          lifetime($0.id, $0.ttl, remaining($0.deadline), owner: $0.id)
        })
    else {
      throw Failure(.leaseNotFound, detail: id)
    }
    var keys: [[UInt8]] = []
    var byteCount = 0
    let limit = min(Int(limit), limits.listed)
    let start = Keyspace.attachmentKey(id)
    let end = KeyRange(prefix: start).end
    keyspace.attachments.visit(from: start.span, to: end) { record in
      guard keys.count < limit, byteCount < limits.pageBytes else { return false }
      keys.append(Array(record.key[8...]))
      byteCount += record.keyByteCount
      return true
    }
    Reply.inspection(.lease(info, keys: keys)).encode(into: &output)
  }

  func listLocks(from name: [UInt8], _ limit: UInt32, into output: inout [UInt8]) {
    var list: [LockSummary] = []
    let limit = min(Int(limit), limits.listed)
    locks.names.visit(from: name.span, to: nil) { record in
      guard list.count < limit else { return false }
      guard let lock = locks.locks[UInt32(record.created)] else { return true }
      list.append(
        LockSummary(
          name: lock.name,
          holders: UInt64(lock.holders.count),
          waiters: UInt64(lock.waiters.count)
        )
      )
      return true
    }
    Reply.inspection(.locks(list)).encode(into: &output)
  }

  func describe(lock name: [UInt8], _ limit: UInt32, into output: inout [UInt8]) {
    let slot = locks.lock(named: name)
    let lock = slot.flatMap { locks.locks[$0] } ?? Lock(name: name, total: 0)
    let limit = min(Int(limit), limits.listed)
    let info = LockInfo(
      counts: (UInt64(lock.holders.count), UInt64(lock.waiters.count)),
      rests: remaining(lock.restsUntil),
      holders: describe(lock.holders, limit),
      waiters: describe(lock.waiters, limit)
    )
    Reply.inspection(.lock(info)).encode(into: &output)
  }

  private func describe(_ list: ClaimList, _ limit: Int) -> [ClaimInfo] {
    var infos: [ClaimInfo] = []
    var part = list.first
    while infos.count < limit, let current = locks.parts[part, orNone: LockTable.none] {
      part = current.next
      guard let claim = locks.claims[current.claim] else { continue }
      let (mode, taken, _) = current.mode.fields
      var info = ClaimInfo()
      info.session = SessionID(claim.session)
      info.sequence = SequenceNumber(claim.sequence)
      info.owner = claim.owner
      info.token = claim.token
      info.age = age(claim.since)
      info.depth = mode == 2 ? taken : current.depth
      info.mode = mode
      info.label = sessions[claim.sessionSlot]?.label ?? []
      infos.append(info)
    }
    return infos
  }
}
