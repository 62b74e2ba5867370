package import RoostWire

/// What the log means: keys with their history, sessions, leases, locks.
///
/// The state is a value that the log alone decides: ``apply(_:at:time:into:)`` with the same entries gives
/// the same replies, events and hash on every replica. It knows no clock and no dice; time is what the
/// entries say. A copy costs next to nothing and stays as it was, so that a snapshot can be written from
/// it while the original goes on.
///
/// It leaves to others when entries are made, to whom replies go, and which node answers a read.
package struct ReplicatedState: Sendable {
  var limits: StateLimits
  /// Raised by every restore from a backup; ids of an earlier epoch name nothing.
  let epoch: UInt64

  var keyspace = Keyspace()
  var sessions: SlotTable<Session>
  var leases: SlotTable<Lease>
  var locks: LockTable
  /// Bytes of replies that all sessions store.
  var storedReplyBytes = 0
  var oneShots = OrderedMap()
  /// Bytes that ``oneShots`` hold.
  var oneShotBytes = 0
  var timers = TimerHeap()
  /// The cluster time of the newest entry.
  package internal(set) var time = ClusterTime.zero
  /// The newest entry that was applied.
  package internal(set) var appliedIndex = LogIndex.zero
  /// The seam for roles: whether a session may do something; while it is nil, everybody may.
  ///
  /// Whoever sets it must set the same on every replica, for its answers are part of the replies.
  package var permits: (@Sendable (Access, SessionID) -> Bool)?
  /// A running hash over all that was ever answered.
  var transcript: UInt64 = 0
  /// What may still be cleared away or granted before the rest has to wait for another entry; it is set anew
  /// for each command and for what is due.
  var stepsLeft = 0
  #if PLANTED_BUGS
  var flaw: StateFlaw?
  #endif

  package init(limits: StateLimits = StateLimits(), epoch: UInt64 = 0) {
    self.limits = limits
    self.epoch = epoch
    sessions = SlotTable(kind: 0, epoch: epoch)
    leases = SlotTable(kind: 1, epoch: epoch)
    locks = LockTable(epoch: epoch)
  }

  /// The newest revision of the keyspace.
  package var revision: Revision { Revision(keyspace.revision) }

  /// The lowest revision that can still be read.
  package var oldestRevision: Revision { Revision(keyspace.oldest) }

  /// A hash of the state, equal on all replicas that have applied the same entries.
  package var stateHash: UInt64 {
    var hash = StateHash.mix(keyspace.hash ^ StateHash.mix(transcript))
    for number in [keyspace.revision, keyspace.oldest, time.rawValue, appliedIndex.rawValue] {
      hash = StateHash.mix(hash ^ number)
    }
    return hash
  }

  /// When the next entry for time is due: something ends then, though no request comes.
  package var nextDeadline: ClusterTime? {
    var earliest = timers.first?.time
    if let expiry = firstOneShotExpiry { earliest = min(earliest ?? expiry, expiry) }
    return earliest.map { ClusterTime($0) }
  }

  /// Applies a committed entry: a batch of requests, or nothing but its time.
  ///
  /// Every request gets exactly one reply, in order. Bytes that follow no request's format get a reply
  /// that says so, on every replica alike.
  ///
  /// - Parameters:
  ///   - payload: Requests, each behind its length, as `RequestBatch` writes them.
  ///   - index: The entry's place; greater than that of every entry before.
  ///   - stamp: The entry's time; one that is older than the newest counts as the newest.
  ///   - output: Where replies and events are appended.
  package mutating func apply(
    _ payload: [UInt8],
    at index: LogIndex,
    time stamp: ClusterTime,
    into output: inout AppliedOutput
  ) {
    precondition(index > appliedIndex, "entries are applied in order, once")
    appliedIndex = index
    time = max(time, has(.timeAhead) ? ClusterTime(stamp.rawValue &* 2) : stamp)
    let replyStart = output.replyBytes.count
    let eventStart = output.eventBytes.count
    let (firstChange, bytesBefore) = (keyspace.changes.next, keyspace.madeBytes)
    clear(into: &output)
    var offset = 0
    var nextLook = 0
    while offset < payload.count {
      if offset >= nextLook { nextLook = lookAhead(in: payload, from: offset) }
      guard let request = Self.nextRequest(in: payload, at: &offset) else {
        output.fail(.malformed)
        output.endReply()
        break
      }
      apply(payload, request, into: &output)
    }
    // More than was made: history shrinks however large the entries are.
    let made = Int(keyspace.changes.next - firstChange)
    let madeBytes = Int(keyspace.madeBytes &- bytesBefore)
    forgetHistory(
      steps: max(limits.clearingSteps, made + made / 4 + 1),
      byteCount: max(Self.forgottenBytes, madeBytes + madeBytes / 4)
    )
    settleTimers()
    noteTranscript(output, repliesFrom: replyStart, eventsFrom: eventStart)
  }

  static func nextRequest(in payload: [UInt8], at offset: inout Int) -> Range<Int>? {
    guard payload.count - offset >= 4 else { return nil }
    let start = offset + 4
    let byteCount = Int(payload.load(at: offset, as: UInt32.self))
    guard byteCount <= payload.count - start else { return nil }
    offset = start + byteCount
    return start..<offset
  }

  private mutating func noteTranscript(
    _ output: AppliedOutput,
    repliesFrom replyStart: Int,
    eventsFrom eventStart: Int
  ) {
    guard output.replyBytes.count > replyStart || output.eventBytes.count > eventStart else {
      return
    }
    let replies = output.replyBytes.span.extracting(droppingFirst: replyStart)
    let events = output.eventBytes.span.extracting(droppingFirst: eventStart)
    let sums = UInt64(CRC32C(of: replies).value) | UInt64(CRC32C(of: events).value) << 32
    transcript = StateHash.mix(transcript ^ sums)
  }

  /// Bytes of values that an entry which writes nothing gives back to the system: that takes time too.
  private static let forgottenBytes = 1 << 20

  /// Forgets changes that nothing keeps any more, a bounded number at a time.
  private mutating func forgetHistory(steps: Int, byteCount: Int) {
    var bytesLeft = byteCount
    for _ in 0..<steps {
      guard keyspace.changes.count > 0, bytesLeft > 0 else { return }
      let (revision, time) = keyspace.changes.moment(of: keyspace.changes.first)
      guard isForgettable(changeOf: revision, at: time) else { return }
      bytesLeft -= keyspace.forgetOldestChange()
    }
  }

  private func isForgettable(changeOf revision: UInt64, at moment: UInt64) -> Bool {
    guard revision > keyspace.oldest else { return true }
    guard keyspace.revision - revision >= limits.historyRevisions else { return false }
    let isOld = time.rawValue - min(time.rawValue, moment) > limits.historyAge
    return isOld || keyspace.historyBytes > limits.historyBytes
  }
}

extension AppliedOutput {
  /// Appends a failure as the reply, or as the part of it that is being written.
  mutating func fail(_ code: ErrorCode, detail: UInt64 = 0) {
    Failure(code, detail: detail).encode(into: &replyBytes)
  }

  mutating func reply(_ reply: Reply) { reply.encode(into: &replyBytes) }
}

extension ReplicatedState: Hashable {
  /// Two states are taken for equal when their hashes are; a full comparison would walk all keys.
  package static func == (left: ReplicatedState, right: ReplicatedState) -> Bool {
    left.stateHash == right.stateHash
  }

  package func hash(into hasher: inout Hasher) { hasher.combine(stateHash) }
}
