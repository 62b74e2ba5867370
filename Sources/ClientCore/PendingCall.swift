internal import RoostWire

/// A call that has not been answered.
struct PendingCall: Sendable {
  /// For whose sake it was made; the application hears of its own calls alone.
  enum Purpose: Equatable, Sendable {
    case application
    case openSession
    case renewal
    case renewLeases([UInt64])
    /// To see to it that an acquire which was given up holds nothing.
    case settle(GivenUpAcquire)
  }

  /// Which queue it stands in.
  enum Place: Equatable, Sendable {
    case none
    /// To be sent to the preferred endpoint.
    case waiting
    /// To be sent to an endpoint of its own.
    case pinned(Int)
    /// Until the session has a number for it.
    case held
    /// Until its retry is due.
    case paused
    case sent(Int)
    /// Executed, and waits for a lock.
    case parked
  }

  let kind: CallKind
  let purpose: Purpose
  let deadline: Instant
  /// How often every endpoint had failed when the call came.
  let rounds: Int
  var place = Place.none
  /// Made at the first sending and then kept, so that a retry is the same request.
  var identity: RequestIdentity?
  /// When it was first sent.
  var sentAt: Instant?
  /// Whether it was sent and nobody can say any more what became of that.
  var isUncertain = false
  var retryAt = Instant(nanoseconds: 0)
  /// Since when nodes say that there is no leader to ask.
  var withoutQuorumSince: Instant?
  /// The endpoint that has said last that it waits for a lock.
  var queuedAt: Int?

  init(kind: CallKind, purpose: Purpose, deadline: Instant, rounds: Int) {
    self.kind = kind
    self.purpose = purpose
    self.deadline = deadline
    self.rounds = rounds
  }

  var pinned: Int? {
    if case .status(let endpoint) = kind { endpoint } else { nil }
  }

  var isCommand: Bool {
    if case .command = kind { true } else { false }
  }

  /// Whether an earlier copy may have reached the log, or did and waits there.
  var mayBeInLog: Bool { (isUncertain || queuedAt != nil) && isChange }

  /// Whether it can change anything.
  var isChange: Bool {
    switch kind {
    case .command, .admin: true
    case .query, .recent, .status: false
    }
  }

  /// Whether it does no harm when it is executed twice, and so takes no number.
  var isFreelyRepeated: Bool {
    switch kind {
    case .command(.keepAlive), .command(.renewLeases): true
    default: false
    }
  }

  var acquire: Acquire? {
    if case .command(.acquire(let acquire)) = kind { acquire } else { nil }
  }

  /// Its place in a session, if it has one.
  var request: Outcome? {
    guard case .session(let session, let sequence, _) = identity, sequence > .zero else {
      return nil
    }
    return Outcome(session: session, sequence: sequence)
  }

  var frameKind: FrameKind {
    switch kind {
    case .command: .request
    case .query, .recent: .query
    case .status: .status
    case .admin: .admin
    }
  }

  /// The body of its frame; `newest` is the newest revision that the client has seen.
  func encode(_ identity: RequestIdentity?, newest: Revision, into output: inout [UInt8]) {
    switch kind {
    case .status: break
    case .query(.serializable, let query):
      Self.encode(query, ReadBound(revision: newest), into: &output)
    case .recent(let query, let age):
      Self.encode(query, ReadBound(revision: newest, age: age), into: &output)
    case .query(let level, let query):
      output.append(level.rawValue)
      query.encode(into: &output)
    case .command(let command):
      identity?.encode(into: &output)
      command.encode(into: &output)
    case .admin(let request): request.encode(into: &output)
    }
  }

  private static func encode(_ query: Query, _ bound: ReadBound, into output: inout [UInt8]) {
    output.append(ReadLevel.bounded.rawValue)
    bound.encode(into: &output)
    query.encode(into: &output)
  }
}
