package import RoostWire

/// What a client learns without having asked at that moment.
package enum ClientNotice: Equatable, Sendable {
  /// Why a grant holds no longer, or can't be relied on any more.
  package enum Loss: Equatable, Sendable {
    /// An operator took it away.
    case forced
    /// The session that it belonged to has ended.
    case sessionEnded
    /// The session was not renewed in time: from now on it may have ended.
    case unproven
  }

  /// A grant is not held any more; told once for each.
  case lockLost(token: UInt64, Loss)
  /// The cluster has ended the session; the next command opens another.
  case sessionEnded(SessionID)
  /// A lease that was kept alive has ended.
  case leaseEnded(UInt64)
  /// What a watch saw.
  case watch(WatchID, WatchNews)
}

/// What a watch saw.
package enum WatchNews: Equatable, Sendable {
  /// A node watches: every change from that revision on will be told. Once for each watch.
  case started(from: Revision)
  /// Changes in order; with `isWhole`, everything through `revision` has been told now.
  case changes([WatchEvent.Change], revision: Revision, isWhole: Bool)
  /// The history that the watch needs is gone: it ends, and another can start from that revision.
  case compacted(oldest: Revision)
  /// The cluster refuses the watch.
  case refused(Failure)
}
