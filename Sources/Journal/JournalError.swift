package import RoostRaft
package import RoostWire

/// Why a journal cannot be opened.
///
/// A failed write is missing on purpose: after one, nobody can say which bytes are on the disk, so it
/// ends the process instead (``JournalReport/failure``).
package enum JournalError: Error, Equatable, Sendable {
  case disk(DiskError)
  /// The directory, or a segment in it, was made by another node or another cluster.
  case foreign(file: String, found: JournalIdentity)
  case newerFormat(found: UInt32)
  /// A file that says who the directory belongs to can't be read.
  case unreadable(file: String)
  /// The log is there and the file that says whose it is is not.
  case identityMissing
  /// A file with the name of one segment holds another one.
  case misplaced(file: String, holds: UInt64)
  /// A snapshot is not what was written.
  case snapshotDamaged(Damage)
  /// Records with good checksums say what cannot be: a bug, or a forgery.
  case contradiction(Damage)
  /// What was damaged may have held a vote or an acknowledgement that nothing else repeats.
  case mustBeReplaced(Damage)
}

/// A place in the files where something else stands than was written.
package struct Damage: Equatable, Hashable, Sendable {
  package let file: String
  package let offset: Int
  package let reason: String

  package init(file: String, offset: Int, reason: String) {
    self.file = file
    self.offset = offset
    self.reason = reason
  }
}

extension Damage: CustomStringConvertible {
  package var description: String { "\(file) at byte \(offset): \(reason)" }
}

extension JournalError: CustomStringConvertible {
  /// A sentence for the operator: what is wrong, where, and what to do about it.
  package var description: String {
    switch self {
    case .disk(let error):
      "\(error)"
    case .foreign(let file, let found):
      """
      \(file) belongs to node \(found.node) of cluster \(found.cluster); \
      compare the data directory and the node's id with its configuration
      """
    case .newerFormat(let found):
      """
      the directory has format \(found), this program reads up to \(JournalIdentity.version); \
      start it with the newer release that wrote it
      """
    case .unreadable(let file):
      """
      \(file) is damaged, so nobody can say whose directory this is; \
      remove this node from the cluster and add a new one with an empty directory
      """
    case .identityMissing:
      """
      the directory holds a log but no file 'identity'; restore that file from where the directory \
      was copied from, or remove this node from the cluster and add a new one with an empty directory
      """
    case .misplaced(let file, let holds):
      "\(file) holds segment \(holds): it is a copy under a wrong name; move it away"
    case .snapshotDamaged(let damage):
      "the snapshot is damaged: \(damage); start the node again, and it does without it"
    case .contradiction(let damage):
      """
      \(damage); the checksums are good, so this is a bug of ours: please report it. \
      Remove this node from the cluster and add a new one with an empty directory
      """
    case .mustBeReplaced(let damage):
      """
      \(damage); a vote or an acknowledgement may have stood there and nothing else repeats it. \
      This node must not vote again: remove it from the cluster, then add a new one with an empty \
      directory; it gets everything from the others
      """
    }
  }
}

/// Something that was noticed while a journal was opened, and what was done about it.
package enum Finding: Equatable, Sendable {
  /// The last write was cut by a crash. Nobody was told that it had happened.
  case tornTail(file: String, offset: Int, afterIndex: LogIndex)
  /// Acknowledged content is damaged: the log is cut before it and must be fetched from the others.
  case damage(Damage, keptThrough: LogIndex, promised: LogPosition)
  /// A snapshot is damaged: an older one with its log stands in, or the others must send one.
  case snapshotDamaged(Damage)
  /// Something is damaged that is not needed.
  case harmless(Damage)
}

extension Finding: CustomStringConvertible {
  package var description: String {
    switch self {
    case .tornTail(let file, let offset, let index):
      """
      torn tail cut at \(file) byte \(offset), after entry \(index): \
      an unfinished write that was never acknowledged
      """
    case .damage(let damage, let kept, let promised):
      """
      damaged: \(damage). Entries through \(kept) are good; this node once had entry \
      \(promised.index) of term \(promised.term), so it will not lead, and votes only for nodes that \
      have it, until the others have sent it that much again
      """
    case .snapshotDamaged(let damage):
      "a snapshot is damaged and not used: \(damage)"
    case .harmless(let damage):
      "not what was written, but not needed: \(damage)"
    }
  }
}
