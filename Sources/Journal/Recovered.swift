package import RoostRaft
package import RoostWire

/// What a node knows when it starts, as its files tell it.
package struct Recovered: Equatable, Sendable {
  /// Which journal of this node's it is: a new one has another.
  package let incarnation: Incarnation
  package let hardState: HardState
  /// The newest snapshot that is good; ``Journal/readSnapshot()`` reads it.
  package let snapshot: StoredSnapshot?
  /// A newer one of which a part came from another node; ``Journal/receive(_:at:of:)`` takes what follows.
  package let incoming: IncomingSnapshot?
  /// The place that ``entries`` start after: the end of the snapshot, or the origin.
  package let base: LogPosition
  /// The log after ``base``, without a gap.
  package let entries: [Entry]
  /// As far as the log was known to be committed when it was last written.
  package let commitHint: LogIndex
  /// The end of the log that this node once had, if damage has taken a part of it.
  ///
  /// It may have acknowledged everything up to there, and others may count on that. Until its log
  /// reaches that place again (``LogPosition`` compares as votes do) it must not become a candidate,
  /// and must grant its vote only to candidates whose last entry is not before this place. With
  /// these two rules damage is healed by plain replication: the leader sends what is missing.
  package let promised: LogPosition?
  package let findings: [Finding]

  package init(
    incarnation: Incarnation = .zero,
    hardState: HardState,
    snapshot: StoredSnapshot? = nil,
    incoming: IncomingSnapshot? = nil,
    base: LogPosition,
    entries: [Entry],
    commitHint: LogIndex,
    promised: LogPosition?,
    findings: [Finding]
  ) {
    self.incarnation = incarnation
    self.hardState = hardState
    self.snapshot = snapshot
    self.incoming = incoming
    self.base = base
    self.entries = entries
    self.commitHint = commitHint
    self.promised = promised
    self.findings = findings
  }
}

/// What became of the writes of a ``Journal`` since it was last asked.
package struct JournalReport: Equatable, Sendable {
  /// The newest ticket that is durable, with all before it.
  package var durable: UInt64?
  /// A snapshot that was saved, and took the place of the one before.
  package var savedSnapshot: StoredSnapshot?
  /// A snapshot from another node that is whole, was read back, and is the newest now.
  package var receivedSnapshot: StoredSnapshot?
  /// A snapshot from another node that is not what it was said to be, or that could not be written.
  package var refusedSnapshot: SnapshotDescriptor?
  /// Why it could not be written.
  package var refusalReason: DiskError?
  /// Why a snapshot of our own state could not be saved; it may be tried again later.
  package var snapshotFailure: DiskError?
  /// Why the process must end now: what is on the disk is unknown, and it may not be tried again.
  package var failure: DiskError?

  package init(durable: UInt64? = nil) {
    self.durable = durable
  }
}
