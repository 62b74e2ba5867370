package import RoostWire

/// What one member tells another.
///
/// Any message may be lost, repeated, delayed or overtaken; none is ever needed for safety.
///
///     offset  size  field
///     0       8     term         the sender's current term
///     8       8     incarnation  of the sender's journal
///     16      1     kind         as listed in `Message+Codec.swift`
///     17      ...   body
package struct Message: Hashable, Sendable {
  package let term: Term
  package let incarnation: Incarnation
  package let body: Body

  package init(term: Term, incarnation: Incarnation, body: Body) {
    self.term = term
    self.incarnation = incarnation
    self.body = body
  }

  package enum Body: Hashable, Sendable {
    /// Would you vote for me? Asked before a term is spent (thesis §9.6).
    case preVoteRequest(PreVoteRequest)
    case preVoteReply(round: UInt64, granted: Bool)
    /// Raft Figure 2, RequestVote.
    case voteRequest(VoteRequest)
    case voteReply(granted: Bool)
    /// Raft Figure 2, AppendEntries with entries, or with none to find where the logs agree.
    case append(AppendRequest)
    /// The leader lives and knows this to be committed.
    case heartbeat(Heartbeat)
    /// The answer to an append that matched, and to every heartbeat.
    case accepted(Acceptance)
    /// The answer to an append whose previous entry the follower lacks.
    case rejected(Rejection)
    /// You speak of an old term: mine is in the head of this message.
    case newerTerm
    case readRequest(ReadTicket)
    case readReply(ReadTicket, LogIndex)
    case readRefused(ReadTicket)
    /// Campaign now: I hand over to you (thesis §3.10).
    case campaignNow
    case snapshotChunk(SnapshotChunk)
    case snapshotReceived(SnapshotReceipt)
  }
}

package struct PreVoteRequest: Hashable, Sendable {
  /// The term that the candidate would campaign in.
  package let proposed: Term
  package let last: LogPosition
  /// Names this attempt, so that an answer to an earlier one is not counted.
  package let round: UInt64

  package init(proposed: Term, last: LogPosition, round: UInt64) {
    self.proposed = proposed
    self.last = last
    self.round = round
  }
}

package struct VoteRequest: Hashable, Sendable {
  package let last: LogPosition
  /// The leader itself asked for this campaign, so loyalty to it is no reason to refuse.
  package let isTransfer: Bool

  package init(last: LogPosition, isTransfer: Bool) {
    self.last = last
    self.isTransfer = isTransfer
  }
}

package struct AppendRequest: Hashable, Sendable {
  package let previous: LogPosition
  package let commit: LogIndex
  package let entries: [Entry]

  package init(previous: LogPosition, commit: LogIndex, entries: [Entry]) {
    self.previous = previous
    self.commit = commit
    self.entries = entries
  }

  /// The last place in the log that the message speaks of.
  package var last: LogPosition { entries.last?.position ?? previous }
}

package struct Heartbeat: Hashable, Sendable {
  package let commit: LogIndex
  /// Names this quorum round; grows within a term, and is never before the instant it was sent.
  package let round: UInt64
  /// What the leader's cluster time is, so that a successor goes on from there.
  package let time: ClusterTime

  package init(commit: LogIndex, round: UInt64, time: ClusterTime) {
    self.commit = commit
    self.round = round
    self.time = time
  }
}

package struct Acceptance: Hashable, Sendable {
  /// Up to here the follower has the leader's entries on its disk.
  ///
  /// A promise.
  package let match: LogIndex
  /// Up to here it has them in memory.
  package let received: LogIndex
  /// The newest quorum round of this term that it has seen.
  package let round: UInt64

  package init(match: LogIndex, received: LogIndex, round: UInt64) {
    self.match = match
    self.received = received
    self.round = round
  }
}

package struct Rejection: Hashable, Sendable {
  /// The previous index of the append that did not fit.
  package let previous: LogIndex
  /// The last place where the logs may agree.
  package let hint: LogPosition

  package init(previous: LogIndex, hint: LogPosition) {
    self.previous = previous
    self.hint = hint
  }
}

/// Names a follower's question for a read index: which start of the node asks, and how often it did.
package struct ReadTicket: Hashable, Sendable {
  package let boot: UInt64
  package let sequence: UInt64

  package init(boot: UInt64, sequence: UInt64) {
    self.boot = boot
    self.sequence = sequence
  }
}

package struct SnapshotChunk: Hashable, Sendable {
  /// The most bytes in one chunk.
  package static let byteLimit = 4 << 20

  package let snapshot: SnapshotDescriptor
  package let offset: UInt64
  /// Empty to ask how much the follower already has.
  package let bytes: [UInt8]

  package init(snapshot: SnapshotDescriptor, offset: UInt64, bytes: [UInt8]) {
    self.snapshot = snapshot
    self.offset = offset
    self.bytes = bytes
  }
}

package struct SnapshotReceipt: Hashable, Sendable {
  package let index: LogIndex
  package let checksum: UInt64
  /// How many bytes the follower has.
  package let byteCount: UInt64

  package init(index: LogIndex, checksum: UInt64, byteCount: UInt64) {
    self.index = index
    self.checksum = checksum
    self.byteCount = byteCount
  }
}

/// A message and whom it is for.
package struct Envelope: Hashable, Sendable {
  package let recipient: NodeID
  package let message: Message
}
