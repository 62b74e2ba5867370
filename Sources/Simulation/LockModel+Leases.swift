import RoostWire

/// Leases, and the keys that live as long as a lease, as a session, or as long as they were given.
extension LockModel {
  /// How long after its lease a key may be there, in cluster time, and for how many entries: each clears away so many
  /// things only, and under tiny limits one.
  private static let grace: UInt64 = 2_000_000_000
  private static let patience = 60

  mutating func followLease(_ command: Command, _ reply: Reply, at now: UInt64) {
    switch (command, reply) {
    case (.grantLease, .leaseGranted(let id, let ttl)):
      guard leases[id] == nil else { return }
      leases[id] = Life(ttl: ttl * 1_000_000, deadline: now + ttl * 1_000_000)
    case (.renewLeases(let ids), .renewed(let lives)):
      for (id, lives) in zip(ids, lives) where lives {
        guard let lease = leases[id] else { continue }
        leases[id]?.deadline = max(lease.deadline, now + lease.ttl)
      }
    case (.revokeLease(let id), .done), (.revokeLease(let id), .deleted):
      leases[id] = nil
      endedByHand[id] = now
    default: break
    }
  }

  /// Takes note of what a request does to keys, for ``follow(_:was:at:)``.
  mutating func followLifetimes(_ command: Command, _ reply: Reply) {
    guard case .operation(let operation) = command else { return }
    switch (operation, reply) {
    case (.put(let put), .written):
      guard case .milliseconds(let ttl) = put.options.lifetime else { return }
      ownLives[put.key, default: []].append(ttl * 1_000_000)
    case (.delete, _), (.deleteRange, _), (.transaction, .transaction): removesKeys = true
    default: break
    }
  }

  /// Takes in the change of a key that was something else before; answers what is wrong about it.
  mutating func follow(
    _ change: WatchEvent.Change,
    was before: KeyValue?,
    at time: ClusterTime
  ) -> String? {
    let entry = change.entry
    guard change.isRemoval else {
      attached[entry.key] = entry.lease == 0 ? nil : entry.lease
      // One that was revoked later in the same entry is not the key's own.
      if entry.lease != 0, leases[entry.lease] == nil, sessions[entry.lease] == nil,
        endedByHand[entry.lease] == nil, let ttl = ownLives[entry.key]?.first
      {
        ownLives[entry.key]?.removeFirst()
        leases[entry.lease] = Life(ttl: ttl, deadline: time.rawValue + ttl)
      }
      return nil
    }
    attached[entry.key] = nil
    guard let before else { return nil }
    guard before.lease != 0 else {
      return removesKeys ? nil : "\(change.story), which nobody asked for and no lease explains"
    }
    coverage.meet(.leaseEnded)
    return judgeEnd(of: before.lease, at: time).map { "\(change.story): \($0)" }
  }

  /// Whether a key of that lease or session may have gone because of it by then; answers what is wrong if not.
  func judgeEnd(of lease: UInt64, at time: ClusterTime) -> String? {
    guard let deadline = (leases[lease] ?? sessions[lease])?.deadline,
      deadline > time.rawValue
    else { return nil }
    return "lease \(lease) ended \((deadline - time.rawValue) / 1000) us early"
  }

  /// Takes in that an entry is through; answers whether some key has outlived what it was attached to.
  mutating func judgeOrphans(at time: ClusterTime) -> String? {
    var left: [UInt64: (since: UInt64, entries: Int)] = [:]
    for lease in Set(attached.values) where end(of: lease) <= time.rawValue {
      let known = overdue[lease] ?? (since: time.rawValue, entries: 0)
      left[lease] = (known.since, known.entries + 1)
    }
    overdue = left
    let late = left.filter {
      $0.value.entries > Self.patience && time.rawValue - $0.value.since > Self.grace
    }
    guard let lease = late.keys.min() else { return nil }
    let keys = attached.filter { $0.value == lease }.map { text($0.key) }.sorted()
    let passed = (time.rawValue - end(of: lease)) / 1_000_000
    return "keys \(keys) are there \(passed) ms after the end of lease \(lease)"
  }

  /// When a lease or session ended or will end; never if it is not known.
  private func end(of lease: UInt64) -> UInt64 {
    (leases[lease] ?? sessions[lease])?.deadline ?? endedByHand[lease] ?? .max
  }

  /// Whether a session or lease is over by itself: nobody ended it, and time has passed its end.
  func isOver(_ id: UInt64, at time: ClusterTime) -> Bool {
    guard let life = sessions[id] ?? leases[id] else { return false }
    return life.deadline <= time.rawValue
  }

  /// Whether a session or lease is surely there.
  func lives(_ id: UInt64, at time: ClusterTime) -> Bool {
    guard let life = sessions[id] ?? leases[id] else { return false }
    return life.deadline > time.rawValue
  }
}
