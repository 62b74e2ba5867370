#if PLANTED_BUGS
package import RoostRaft
#endif

/// Mistakes that can be planted into ``Replica``, to see that the tests would find them.
///
/// A plain release build has no way to plant one: there ``Replica/has(_:)`` is always false.
package enum ReplicaFlaw: String, CaseIterable, Sendable {
  /// One entry in a hundred is not applied.
  case entrySkipped
  /// Entries are applied under this node's own time.
  case ownTimeApplied
  /// Reads are answered as soon as they are confirmed, whatever was applied.
  case readBeforeApplying
  /// The replies of a batch go to each other's callers.
  case repliesRotated
  /// A new leader answers for its predecessor's batches as if they were its own.
  case positionNotCompared
  /// Whoever waits when leadership ends is forgotten.
  case waitersForgotten
  /// A node's own state answers however old it is.
  case boundIgnored
  /// Reads are put into a group that was already asked for.
  case readsJoinOldGroup
}

extension Replica {
  #if PLANTED_BUGS
  package mutating func plant(_ flaw: ReplicaFlaw) { self.flaw = flaw }
  package mutating func plant(_ flaw: Flaw) { consensus = consensus.planted(flaw) }

  func has(_ flaw: ReplicaFlaw) -> Bool { self.flaw == flaw }
  #else
  @inline(__always)
  func has(_ flaw: ReplicaFlaw) -> Bool { false }
  #endif
}
