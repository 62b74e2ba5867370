package import RoostWire

/// Makes a state from the chunks of a ``SnapshotWriter``.
///
/// Chunks that are not what a writer makes are refused with the reason; nothing traps.
package struct SnapshotReader: Sendable {
  private var state: ReplicatedState?
  private var header: SnapshotHeader?
  private var section = SnapshotSection.header
  private var expectedHash: UInt64?
  private var checksum = CRC32C()
  /// The front of an item whose rest has not come.
  private var partial: [UInt8] = []

  /// The longest item that a writer makes: one request's worth of bytes with their history.
  private static let itemByteLimit = 8 << 20

  package init() {}

  /// Takes in the next chunk; chunks may be cut anywhere, not only where the writer did.
  package mutating func add(_ chunk: [UInt8]) throws(WireError) {
    let bytes = partial.isEmpty ? chunk : partial + chunk
    partial = []
    var input = bytes.span
    while !input.isEmpty {
      let start = bytes.count - input.count
      var ahead = input
      guard let section = SnapshotSection(rawValue: try ahead.read()), section >= self.section
      else { throw .invalid("snapshot section") }
      guard expectedHash == nil else { throw .invalid("snapshot after its end") }
      guard ahead.count >= 4 else { break }
      let byteCount = Int(try ahead.read(UInt32.self))
      guard byteCount <= Self.itemByteLimit else {
        throw .tooLarge(
          what: "snapshot item",
          byteCount: UInt64(byteCount),
          limit: Self.itemByteLimit
        )
      }
      guard byteCount <= ahead.count else { break }
      input = ahead
      self.section = section
      var item = input.extracting(first: byteCount)
      input = input.extracting(droppingFirst: byteCount)
      if section == .end {
        try end(&item, bytes.span.extracting(first: start))
      } else {
        try add(&item, of: section)
      }
      try item.expectEnd()
    }
    checksum.update(with: bytes.span.extracting(first: bytes.count - input.count))
    partial = input.copied()
  }

  /// The state, once all chunks are in.
  package consuming func finish() throws(WireError) -> ReplicatedState {
    guard var state, let expectedHash, partial.isEmpty else {
      throw .invalid("snapshot without its end")
    }
    try state.deriveIndexes()
    guard state.stateHash == expectedHash else { throw .checksum }
    return state
  }

  private mutating func add(
    _ item: inout Span<UInt8>,
    of section: SnapshotSection
  ) throws(WireError) {
    guard section != .header else { return try begin(&item) }
    guard state != nil else { throw .invalid("snapshot without header") }
    switch section {
    case .header: break
    case .records: try state?.keyspace.restore(record: Record(decodingWhole: &item))
    case .changes: try state?.keyspace.restoreChange(decoding: &item)
    case .sessions: try state?.sessions.restoreSlot(decoding: &item)
    case .leases: try state?.leases.restoreSlot(decoding: &item)
    case .locks: try state?.locks.locks.restoreSlot(decoding: &item)
    case .claims: try state?.locks.claims.restoreSlot(decoding: &item)
    case .parts: try state?.locks.parts.restoreSlot(decoding: &item)
    case .bindings:
      let record = try Record(decodingWhole: &item)
      record.withKey { key in state?.locks.bindings.update(key) { _ in record } }
    case .oneShots:
      let record = try Record(decodingWhole: &item)
      record.withKey { key in state?.oneShots.update(key) { _ in record } }
      state?.oneShotBytes += record.byteCount
    case .timers: state?.timers.restore(try Timer(decoding: &item))
    case .end: break
    }
  }

  private mutating func end(
    _ item: inout Span<UInt8>,
    _ before: borrowing Span<UInt8>
  ) throws(WireError) {
    expectedHash = try item.read()
    checksum.update(with: before)
    guard try item.read(UInt32.self) == checksum.value else { throw .checksum }
  }

  private mutating func begin(_ item: inout Span<UInt8>) throws(WireError) {
    guard state == nil, try item.read(UInt64.self) == SnapshotWriter.magic else {
      throw .invalid("snapshot magic")
    }
    guard try item.read(UInt32.self) == SnapshotWriter.version else {
      throw .invalid("snapshot version")
    }
    let header = try SnapshotHeader(decoding: &item)
    state = ReplicatedState(restoring: header)
    self.header = header
  }
}

extension ReplicatedState {
  init(restoring header: SnapshotHeader) {
    self.init(limits: header.limits, epoch: header.epoch)
    time = ClusterTime(header.time)
    appliedIndex = LogIndex(header.appliedIndex)
    transcript = header.transcript
    locks.lastToken = header.lastToken
    keyspace = Keyspace(
      revision: header.revision,
      oldest: header.oldest,
      firstChange: header.firstChange
    )
  }

  /// Builds what a snapshot leaves out because it follows from the rest, and checks what must agree.
  mutating func deriveIndexes() throws(WireError) {
    for slot in 0..<UInt32(locks.locks.slotCount) {
      guard let lock = locks.locks[slot] else { continue }
      locks.names.setSlot(slot, under: lock.name)
      try checkList(lock.holders, of: slot)
      try checkList(lock.waiters, of: slot)
    }
    for slot in 0..<UInt32(locks.claims.slotCount) {
      guard let claim = locks.claims[slot] else { continue }
      guard sessions.slot(of: claim.session) == claim.sessionSlot,
        isLink(claim.nextOfSession, in: locks.claims),
        isLink(claim.previousOfSession, in: locks.claims),
        isLink(claim.firstPart, in: locks.parts)
      else { throw .invalid("claim") }
      try checkParts(of: claim, in: slot)
      locks.noteRestored(claim, in: slot)
      _ = sessions.update(claim.sessionSlot) { $0.claimCount += 1 }
    }
    for slot in 0..<UInt32(sessions.slotCount) {
      guard let session = sessions[slot] else { continue }
      guard isLink(session.firstClaim, in: locks.claims) else { throw .invalid("session") }
      storedReplyBytes += session.replies.byteCount
    }
  }

  private func isLink<Element>(_ slot: UInt32, in table: SlotTable<Element>) -> Bool {
    slot == LockTable.none || (slot < table.slotCount && table[slot] != nil)
  }

  private func checkParts(of claim: Claim, in slot: UInt32) throws(WireError) {
    var part = claim.firstPart
    var count = 0
    while part != LockTable.none {
      guard isLink(part, in: locks.parts), let current = locks.parts[part], current.claim == slot,
        count < claim.partCount
      else { throw .invalid("claim's parts") }
      count += 1
      part = current.nextOfClaim
    }
  }

  private func checkList(_ list: ClaimList, of lock: UInt32) throws(WireError) {
    var part = list.first
    var count = 0
    while part != LockTable.none {
      guard part < locks.parts.slotCount, let current = locks.parts[part], current.lock == lock,
        current.claim < locks.claims.slotCount, locks.claims[current.claim] != nil,
        isLink(current.nextOfClaim, in: locks.parts), count < list.count
      else { throw .invalid("lock's list") }
      count += 1
      part = current.next
    }
    guard count == list.count else { throw .invalid("lock's list") }
  }
}

extension ReplicatedState {
  /// The state for a cluster that starts anew from a backup.
  ///
  /// Whoever lived on with the old cluster must not be taken for a client of the new one: sessions, locks
  /// and leases end, with the keys that lived as long as they did; ids and tokens of the new epoch are none of
  /// the old; cluster time jumps past every expiry that the old cluster can have allowed; and the revision
  /// jumps, with history gone before it, so that a watch of the old cluster is told to start over.
  package func restoredInNewEpoch() -> ReplicatedState {
    var restored = ReplicatedState(limits: limits, epoch: epoch + 1)
    restored.time = ClusterTime(time.rawValue.addingCapped(400 * 86_400 * 1_000_000_000))
    restored.appliedIndex = appliedIndex
    restored.transcript = StateHash.mix(transcript)
    let revision = keyspace.revision.addingCapped(1 << 32)
    restored.keyspace = Keyspace(
      revision: revision,
      oldest: revision,
      firstChange: keyspace.changes.next
    )
    let start: [UInt8] = []
    keyspace.map.visit(from: start.span, to: nil) { record in
      if !record.isTombstone, record.lease == 0 { restored.keyspace.restore(record: record) }
      return true
    }
    restored.locks.bindings = locks.bindings
    return restored
  }
}
