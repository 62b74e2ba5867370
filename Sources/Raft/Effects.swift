package import RoostWire

/// Names one write to the journal; later writes have greater tickets.
package struct WriteTicket: WireNumber {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// Names a read, or several that wait together; given by the caller, each used once.
package struct ReadID: WireNumber {
  package let rawValue: UInt64

  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What ``Consensus`` asks of the outside world.
///
/// One value is used over and over: the shell lets any number of inputs add to it, performs it, and
/// empties it with ``removeAll()``. Order matters in one place only: ``write`` is one append and one
/// sync, in the order of its fields, and ``Consensus/didPersist(through:now:into:)`` is called when
/// it is on the disk. Everything else may happen before, during or after it. What must wait for the
/// disk (a vote, an acknowledgement) is not in here before the disk has answered.
package struct Effects: Hashable, Sendable {
  /// To be sent, in this order for each recipient.
  package internal(set) var messages: [Envelope] = []
  /// To be stored and synced.
  ///
  /// Several may be under way; they must reach the disk in order.
  package internal(set) var write = Write()
  /// The log is committed up to here, if that has changed.
  package internal(set) var commitIndex: LogIndex?
  /// Reads that may be answered from a state that has applied the index.
  package internal(set) var readsReady: [ReadyRead] = []
  /// Reads that were not confirmed, and never will be under these names.
  ///
  /// They may be asked again.
  package internal(set) var readsFailed: [ReadID] = []
  /// Parts of this node's snapshot that a follower needs; answered by ``Consensus/didReadSnapshot``.
  package internal(set) var snapshotReads: [SnapshotRead] = []
  /// Parts of a snapshot that came from the leader, in order, each behind the one before.
  package internal(set) var snapshotChunks: [SnapshotChunk] = []
  /// All parts are there: to be checked and synced, then ``Consensus/didReceiveSnapshot``.
  package internal(set) var snapshotToCheck: SnapshotDescriptor?
  /// The received snapshot is now this node's state: load it in place of what was applied.
  package internal(set) var snapshotToLoad: SnapshotDescriptor?
  /// A follower needs entries that are in no snapshot and not in memory any more: a newer snapshot would help it.
  package internal(set) var snapshotIsWanted = false
  /// The node's role, term or leader is not what it was.
  package internal(set) var leaderChanged = false
  /// Another membership is in force, or the one in force was committed.
  package internal(set) var membershipChanged = false

  package init() {}

  package var isEmpty: Bool {
    messages.isEmpty && write.isEmpty && commitIndex == nil && readsReady.isEmpty
      && readsFailed.isEmpty && snapshotReads.isEmpty && snapshotChunks.isEmpty
      && snapshotToCheck == nil && snapshotToLoad == nil && !leaderChanged && !membershipChanged
      && !snapshotIsWanted
  }

  /// Forgets what was asked, and keeps the memory for the next turn.
  package mutating func removeAll() {
    removeAllButWrite()
    write.removeAll()
  }

  /// Forgets everything but the write, to which later turns go on adding.
  ///
  /// For a shell that holds a write back while another is under way.
  package mutating func removeAllButWrite() {
    messages.removeAll(keepingCapacity: true)
    commitIndex = nil
    readsReady.removeAll(keepingCapacity: true)
    readsFailed.removeAll(keepingCapacity: true)
    snapshotReads.removeAll(keepingCapacity: true)
    snapshotChunks.removeAll(keepingCapacity: true)
    snapshotToCheck = nil
    snapshotToLoad = nil
    snapshotIsWanted = false
    leaderChanged = false
    membershipChanged = false
  }
}

/// One change of what is on the disk, to be made in the order of the fields and then synced.
package struct Write: Hashable, Sendable {
  /// 0 while there is nothing to write.
  package internal(set) var ticket: WriteTicket = .zero
  /// The log begins anew behind this snapshot, which is on the disk already.
  package internal(set) var restart: SnapshotDescriptor?
  /// The entry at this index and all behind it are cut off.
  package internal(set) var truncateFrom: LogIndex?
  package internal(set) var entries: [Entry] = []
  package internal(set) var hardState: HardState?

  package init() {}

  package var isEmpty: Bool { ticket == .zero }

  package mutating func removeAll() {
    ticket = .zero
    restart = nil
    truncateFrom = nil
    entries.removeAll(keepingCapacity: true)
    hardState = nil
  }
}

/// A read that may be answered once `index` is applied.
package struct ReadyRead: Hashable, Sendable {
  package let id: ReadID
  package let index: LogIndex
}

/// A part of this node's snapshot to read for a follower.
package struct SnapshotRead: Hashable, Sendable {
  package let follower: NodeID
  package let snapshot: SnapshotDescriptor
  package let offset: UInt64
  package let byteCount: Int
}
