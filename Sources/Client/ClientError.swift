internal import RoostClientCore
internal import RoostWire

/// Why a call failed, and whether it may have happened all the same.
@nonexhaustive
public enum ClientError: Error, Sendable, Equatable {
  /// An endpoint that is no address.
  case badEndpoint(String)
  /// What was asked for breaks a limit; nothing was sent.
  case invalid(String)
  /// No endpoint could be connected to.
  case unreachable(Attempt)
  /// Nodes answer, but have no leader or no quorum.
  case noQuorum(Attempt)
  /// No answer before the deadline.
  case timedOut(Attempt)
  /// The cluster ended this client's session before it answered.
  case sessionEnded(Attempt)
  /// The task that waited was cancelled.
  case cancelled(Attempt)
  /// The client was closed.
  case closed(Attempt)
  /// The lock under which the work was done is held no longer, or can't be relied on any more.
  case lockLost(LockLoss)
  /// History before that revision is gone.
  case compacted(oldest: UInt64)
  /// The cluster answered no.
  case refused(Refusal)
  /// The answer is none that belongs to the question: client and server do not fit together.
  case unexpectedReply
  /// The system refused a thread or a socket.
  case system(String)
}

/// What a call that got no answer went through.
public struct Attempt: Sendable, Equatable {
  /// Whether a change that was asked for may have happened, or may still happen.
  public let mayHaveHappened: Bool
  /// The name under which the cluster may know what became of it: ask with ``Cluster/outcome(of:)``.
  public let request: RequestID?
  /// Each endpoint with what went wrong there last; nil: nothing did.
  public let endpoints: [Tried]

  /// An endpoint and its last failure.
  public struct Tried: Sendable, Equatable {
    /// The endpoint.
    public let address: String
    /// What went wrong there last.
    public let failure: String?
  }
}

/// A refusal by the cluster: it did not do what was asked.
public struct Refusal: Sendable, Equatable, CustomStringConvertible {
  /// The stable number of the reason; the list is in Docs/COMMANDS.md.
  public let code: UInt16
  /// What happened and what to do about it.
  public let description: String
  /// Whether the change may have happened: only a few reasons leave that open.
  public let mayHaveHappened: Bool

  /// The number that belongs to it: a revision, a limit or a member, by code.
  public let detail: UInt64

  init(_ failure: Failure) {
    code = failure.code.rawValue
    detail = failure.detail
    let text = String(decoding: failure.bytes, as: UTF8.self)
    switch failure.code {
    case .fenced, .prefixBound, .lockBusy, .lockNotHeld, .lockAlreadyHeld, .lockModeMismatch,
      .unsoundMembership:
      description = failure.code.sentence + (text.isEmpty ? "" : " (\(text))")
    case .compacted: description = failure.code.sentence + "; the oldest is \(failure.detail)"
    default: description = failure.code.sentence
    }
    mayHaveHappened = failure.code.execution == .unknown
  }

  var isConditionFailed: Bool { code == ErrorCode.conditionFailed.rawValue }
}

extension ClientError {
  init(_ failure: CallFailure) {
    let attempt = Attempt(
      mayHaveHappened: failure.mayHaveExecuted,
      request: failure.request.map {
        RequestID(session: $0.session.rawValue, sequence: $0.sequence.rawValue)
      },
      endpoints: failure.endpoints.map { .init(address: $0.address, failure: $0.failure) }
    )
    switch failure.reason {
    case .unreachable: self = .unreachable(attempt)
    case .noQuorum: self = .noQuorum(attempt)
    case .timedOut: self = .timedOut(attempt)
    case .sessionEnded: self = .sessionEnded(attempt)
    case .cancelled: self = .cancelled(attempt)
    case .closed: self = .closed(attempt)
    }
  }

  /// The question every caller has after a failure.
  public var mayHaveHappened: Bool {
    switch self {
    case .unreachable(let attempt), .noQuorum(let attempt), .timedOut(let attempt),
      .sessionEnded(let attempt), .cancelled(let attempt), .closed(let attempt):
      attempt.mayHaveHappened
    case .refused(let refusal): refusal.mayHaveHappened
    case .badEndpoint, .invalid, .system, .compacted: false
    case .lockLost, .unexpectedReply: true
    }
  }
}

extension ClientError: CustomStringConvertible {
  /// What happened, in one sentence.
  public var description: String {
    switch self {
    case .badEndpoint(let text): "'\(text)' is not an endpoint; write 127.0.0.1:7401"
    case .invalid(let text), .system(let text): text
    case .unreachable(let attempt): "no server answered (\(attempt.endpoints.count) tried)"
    case .noQuorum: "no leader: the servers that answer can't reach a majority of the cluster"
    case .timedOut: "no answer in time"
    case .sessionEnded: "the cluster ended this client's session"
    case .cancelled: "the call was cancelled"
    case .closed: "the client was closed"
    case .lockLost(.forced): "an operator took the lock away"
    case .lockLost(.sessionEnded): "the lock was lost: the cluster ended this client's session"
    case .lockLost(.unproven):
      "the lock can't be relied on any more: the cluster was not reached in time to renew it"
    case .compacted(let oldest): "history before revision \(oldest) is gone; start from there"
    case .refused(let refusal): refusal.description
    case .unexpectedReply:
      "the answer does not fit the question; are client and server of one version?"
    }
  }
}
