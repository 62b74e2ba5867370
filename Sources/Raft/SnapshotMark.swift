package import RoostWire

/// A place in the log: what two logs are compared by.
package struct LogPosition: Hashable, Sendable {
  package let term: Term
  package let index: LogIndex

  package init(term: Term, index: LogIndex) {
    self.term = term
    self.index = index
  }

  /// The place before the first entry.
  package static let start = LogPosition(term: .zero, index: .zero)

  /// Raft §5.4.1: the later last term is the newer log, then the longer log is.
  func isAtLeastAsNew(as other: LogPosition) -> Bool {
    term != other.term ? term > other.term : index >= other.index
  }
}

/// Where a snapshot stands: the state after the entry at ``index``, and what the log knew there.
package struct SnapshotMark: Hashable, Sendable {
  package let index: LogIndex
  package let term: Term
  package let time: ClusterTime
  package let membership: Membership

  package init(index: LogIndex, term: Term, time: ClusterTime, membership: Membership) {
    precondition((index == .zero) == (term == .zero), "only the start has no term")
    self.index = index
    self.term = term
    self.time = time
    self.membership = membership
  }

  /// The start of a new cluster's log.
  package init(founding membership: Membership) {
    self.init(index: .zero, term: .zero, time: .zero, membership: membership)
  }

  package var position: LogPosition { LogPosition(term: term, index: index) }
}

/// A snapshot as a file: its mark, and what tells its bytes from another node's.
package struct SnapshotDescriptor: Hashable, Sendable {
  package let mark: SnapshotMark
  package let byteCount: UInt64
  /// Over all bytes of the file, so that a transfer is only resumed from an equal file.
  package let checksum: UInt64

  package init(mark: SnapshotMark, byteCount: UInt64, checksum: UInt64) {
    self.mark = mark
    self.byteCount = byteCount
    self.checksum = checksum
  }
}

/// What a node finds on its disk when it starts.
package struct Restored: Hashable, Sendable {
  package var incarnation: Incarnation
  package var hardState: HardState
  /// The newest snapshot's place, or the founding membership at index 0.
  package var mark: SnapshotMark
  /// Without gaps; the first may lie before the mark, but not after the entry that follows it.
  package var entries: [Entry]
  /// The newest snapshot, if there is one to send to others.
  package var snapshot: SnapshotDescriptor?
  /// A newer one of which a part had come from a leader before the node stopped.
  package var incoming: IncomingSnapshot?
  /// Where the log once ended, if damage has taken a part of it; the start otherwise.
  ///
  /// The node may have acknowledged all up to there. Until its log is as new again it does not campaign,
  /// and votes only for logs that are.
  package var promised: LogPosition

  package init(
    incarnation: Incarnation = .zero,
    hardState: HardState = HardState(),
    mark: SnapshotMark,
    entries: [Entry] = [],
    snapshot: SnapshotDescriptor? = nil,
    incoming: IncomingSnapshot? = nil,
    promised: LogPosition = .start
  ) {
    self.incarnation = incarnation
    self.hardState = hardState
    self.mark = mark
    self.entries = entries
    self.snapshot = snapshot
    self.incoming = incoming
    self.promised = promised
  }
}

extension LogPosition: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    term = try Term(decoding: &input)
    index = try LogIndex(decoding: &input)
    guard term.isPlausible, index.isPlausible, (term == .zero) == (index == .zero) else {
      throw .invalid("log position")
    }
  }

  package func encode(into output: inout [UInt8]) {
    term.encode(into: &output)
    index.encode(into: &output)
  }
}

extension SnapshotMark: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    let position = try LogPosition(decoding: &input)
    term = position.term
    index = position.index
    time = try ClusterTime(decoding: &input)
    membership = try Membership(decoding: &input)
  }

  package func encode(into output: inout [UInt8]) {
    position.encode(into: &output)
    time.encode(into: &output)
    membership.encode(into: &output)
  }
}

extension SnapshotDescriptor: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    mark = try SnapshotMark(decoding: &input)
    byteCount = try input.read()
    checksum = try input.read()
  }

  package func encode(into output: inout [UInt8]) {
    mark.encode(into: &output)
    output.append(littleEndian: byteCount)
    output.append(littleEndian: checksum)
  }
}

extension WireNumber {
  /// Far below the end of the range, so that counting on from it never overflows.
  var isPlausible: Bool { rawValue <= UInt64.max / 2 }

  var next: Self { Self(rawValue &+ 1) }
  /// The number before; 0 stays 0.
  var previous: Self { Self(rawValue == 0 ? 0 : rawValue - 1) }
}
