/// How new the state must be that answers a query.
package enum ReadLevel: UInt8, Sendable, CaseIterable {
  /// The newest committed state, confirmed by a quorum round.
  case linearizable = 0
  /// The same, confirmed by the leader's lease where the cluster allows it; else as `linearizable`.
  case lease = 1
  /// Whatever the asked node has applied; it may be old.
  case serializable = 2
}
