package import RoostRaft
package import RoostWire

/// Who waits for a reply on a connection of this node.
package struct ClientTicket: Hashable, Sendable {
  package let connection: UInt64
  package let correlation: UInt64

  package init(connection: UInt64, correlation: UInt64) {
    self.connection = connection
    self.correlation = correlation
  }
}

/// Something that was handed on from one member to another, named by the one that handed it on.
package struct ForwardTicket: Hashable, Sendable {
  /// The other side, as this node sees it.
  package let member: NodeID
  package let correlation: UInt64

  package init(member: NodeID, correlation: UInt64) {
    self.member = member
    self.correlation = correlation
  }
}

/// Bytes for another member: something handed on to the leader, or the answer to it.
package struct Forward: Equatable, Sendable {
  package let ticket: ForwardTicket
  package let isReply: Bool
  package let bytes: [UInt8]
  /// Whether it is an operator's request and not a client's.
  package internal(set) var isAdmin = false
}

/// Where a reply lies in ``ReplicaEffects/replyBytes``, and for whom.
package struct ReplyPlace: Equatable, Sendable {
  package let ticket: ClientTicket
  package let range: Range<Int>
}

/// Who leads, as the operator's log tells it.
package struct LeaderReport: Equatable, Sendable, CustomStringConvertible {
  package var term = Term.zero
  package var leader = NodeID.zero
  package var role = Role.follower

  package var description: String {
    switch role {
    case .leader: "leads in term \(term)"
    case .follower where leader == .zero: "knows no leader in term \(term)"
    case .follower: "follows \(leader) in term \(term)"
    case .candidate: "stands for election in term \(term)"
    case .preCandidate: "asks whether it may stand for election after term \(term)"
    }
  }
}

/// What one or more turns of a ``Replica`` ask of its shell.
///
/// The order between these is free but for one thing: ``writes`` reach the disk in their order, and
/// ``Replica/didPersist(through:now:)`` is called once a write is there. To send before writing lets the followers work
/// while this node's disk does.
package struct ReplicaEffects: Sendable {
  package var messages: [Envelope] = []
  package var writes: [Write] = []
  package var forwards: [Forward] = []
  /// Replies, one behind the other, with their places.
  package var replyBytes: [UInt8] = []
  package var replies: [ReplyPlace] = []
  package var changes: [LeaderReport] = []
  /// To be written beside everything else; ``Replica/didSaveSnapshot(_:)`` when it is on the disk.
  package var snapshotToSave: SnapshotToSave?
  /// Parts of this node's snapshot that followers need, for ``Replica/didReadSnapshot(_:bytes:now:)``.
  package var snapshotReads: [SnapshotRead] = []
  /// Parts of a snapshot that came from the leader; after the last, ``Replica/didReceiveSnapshot(_:isValid:now:)``.
  package var snapshotChunks: [SnapshotChunk] = []
  /// To be read and given to ``Replica/didLoadSnapshot(_:_:)``; nothing is applied before.
  package var snapshotToLoad: SnapshotDescriptor?

  /// The membership in force is another, or was committed.
  package var membershipChanged = false
  /// What clients are told unasked; when it is told nothing more follows from it.
  package var news = News()

  package init() {}

  /// Adds a failure that the shell has found.
  package mutating func reply(_ failure: Failure, to ticket: ClientTicket) {
    let start = replyBytes.count
    failure.encode(into: &replyBytes)
    replies.append(ReplyPlace(ticket: ticket, range: start..<replyBytes.count))
  }

  /// Whether nothing is asked for from which something follows.
  package var isEmpty: Bool {
    messages.isEmpty && writes.isEmpty && forwards.isEmpty && replies.isEmpty && changes.isEmpty
      && snapshotToSave == nil && snapshotReads.isEmpty && snapshotChunks.isEmpty
      && snapshotToLoad == nil
  }
}
