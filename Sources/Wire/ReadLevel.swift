/// How new the state must be that answers a query.
package enum ReadLevel: UInt8, Sendable, CaseIterable {
  /// The newest committed state, confirmed by a quorum round.
  case linearizable = 0
  /// The same, confirmed by the leader's lease where the cluster allows it; else as `linearizable`.
  case lease = 1
  /// Whatever the asked node has applied; it may be old.
  case serializable = 2
  /// The same, if it is new enough: a ``ReadBound`` stands before the query, and the answer says how old it may be.
  case bounded = 3
}

/// How old a node's own state may be that answers a query.
///
///     size  field
///     8     revision   that the state must have reached
///     8     age        nanoseconds since the node heard a leader, at most; 0: however long ago
package struct ReadBound: Hashable, Sendable {
  package let revision: Revision
  package let age: UInt64

  package init(revision: Revision, age: UInt64 = 0) {
    self.revision = revision
    self.age = age
  }
}

extension ReadBound: WireCodable {
  package init(decoding input: inout Span<UInt8>) throws(WireError) {
    revision = try Revision(decoding: &input)
    age = try input.read()
  }

  package func encode(into output: inout [UInt8]) {
    revision.encode(into: &output)
    output.append(littleEndian: age)
  }
}
