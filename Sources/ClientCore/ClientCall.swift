package import RoostWire

/// One attempt to be connected to one endpoint; never used again.
package struct LinkID: WireNumber {
  package let rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// One call of the application.
///
/// It is the correlation id on every link that the call is sent over, since any answer to
/// the same request will do. It is never used again.
package struct CallID: WireNumber {
  package let rawValue: UInt64
  package init(_ rawValue: UInt64) { self.rawValue = rawValue }
}

/// What the application wants.
package enum CallKind: Hashable, Sendable {
  /// Changes something: sent again under the same identity until it is answered.
  ///
  /// An `acquire` that has to wait is answered when it waits no longer.
  case command(Command)
  /// Reads.
  ///
  /// A serializable one is answered by a state that is no older than what this client has seen, and its answer is
  /// an observation.
  case query(ReadLevel, Query)
  /// The same of a node that heard a leader so many nanoseconds ago at most.
  case recent(Query, age: UInt64)
  /// How one endpoint is.
  case status(endpoint: Int)
  /// Changes the cluster itself: says what shall be, so it does no harm when it is sent again.
  case admin(AdminRequest)
}

/// What became of a call.
package enum CallResult: Equatable, Sendable {
  /// The bytes of a `Reply`, or for a status call of a `NodeStatus`.
  case answered([UInt8])
  case failed(CallFailure)
}

/// Why a call got no answer, and what that means.
package struct CallFailure: Error, Equatable, Sendable {
  package enum Reason: Equatable, Sendable {
    /// No endpoint could be connected to.
    case unreachable
    /// Nodes answer, but none of them serves: no leader, or no quorum.
    case noQuorum
    case timedOut
    /// The session ended before the request was answered.
    case sessionEnded
    /// The application wants the answer no more.
    case cancelled
    case closed
  }

  package let reason: Reason
  /// Whether a mutating request may have had, or may still have, an effect.
  package let mayHaveExecuted: Bool
  /// What each endpoint last said, in the order in which they were given.
  package let endpoints: [EndpointReport]
  /// The name under which the cluster may know what became of it, where a session gave it one.
  package let request: Outcome?

  /// A call that came after the client was closed.
  package static let closed = CallFailure(
    reason: .closed,
    mayHaveExecuted: false,
    endpoints: [],
    request: nil
  )
}

/// How it stands with one endpoint.
package struct EndpointReport: Equatable, Sendable {
  package let address: String
  /// What went wrong last; nil if it is connected or was not tried.
  package let failure: String?
}
