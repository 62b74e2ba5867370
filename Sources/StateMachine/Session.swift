internal import RoostWire

/// A client, as the state remembers it: what it has done, and until when it lives.
struct Session: SlotElement {
  let id: UInt64
  /// Time to live, nanoseconds.
  let ttl: UInt64
  let label: [UInt8]
  var deadline: UInt64
  /// The client has every reply below this sequence.
  var firstIncomplete: UInt64 = 1
  /// The highest sequence that was ever answered.
  var highest: UInt64 = 0
  var replies = StoredReplies()
  /// Ended, and being cleared away in steps.
  var isEnding = false
  /// Whether the end came without a `closeSession`, so that locks rest.
  var endsUncleanly = false
  /// The first of the claims that the session holds or awaits.
  var firstClaim = UInt32.max
  /// How many they are; snapshots leave that out.
  var claimCount: UInt32 = 0

  init(id: UInt64, ttl: UInt64, label: [UInt8], deadline: UInt64) {
    self.id = id
    self.ttl = ttl
    self.label = label
    self.deadline = deadline
  }

  /// What a session has to say to a request before anything else happens.
  enum Admission: Equatable {
    case execute
    case answered
    case refused(ErrorCode)
  }

  /// Decides on a request, as semantics demand: stale, answered, refused, or to be executed.
  mutating func admit(
    _ sequence: UInt64,
    firstIncomplete carried: UInt64,
    limits: StateLimits,
    isCrowded: Bool
  ) -> Admission {
    guard sequence >= firstIncomplete else { return .refused(.stale) }
    if sequence <= highest, replies.contains(sequence), !limits.has(.runsTwice) {
      return .answered
    }
    acknowledge(below: carried)
    guard sequence - firstIncomplete < limits.requestWindow else {
      return .refused(.windowExceeded)
    }
    guard replies.byteCount < limits.storedReplyBytes else { return .refused(.storedReplyLimit) }
    return isCrowded ? .refused(.overloaded) : .execute
  }

  /// Notes that the client has every reply below `sequence`.
  mutating func acknowledge(below sequence: UInt64) {
    guard sequence > firstIncomplete else { return }
    firstIncomplete = sequence
    replies.acknowledge(below: sequence)
  }

  /// Keeps the reply to a request for every retry of it.
  mutating func store(_ reply: borrowing Span<UInt8>, for sequence: UInt64) {
    highest = max(highest, sequence)
    guard sequence >= firstIncomplete else { return }
    replies.append(reply, for: sequence)
  }
}

extension SlotTable<Session> {
  /// The slot of a session that has not ended by `time`, though nobody may have cleared it away yet.
  func liveSlot(of id: UInt64, at time: UInt64) -> UInt32? {
    guard let slot = slot(of: id) else { return nil }
    return withElement(slot) { $0.isEnding || $0.deadline <= time } ? nil : slot
  }
}

/// How much of each thing the state holds; a test runs with tiny ones.
package struct StateLimits: Hashable, Sendable {
  /// Requests of a session between its first incomplete one and its newest.
  package var requestWindow: UInt64 = 512
  /// Stored replies of a session at which it must acknowledge some first.
  package var storedReplyBytes = 1 << 20
  package var sessions = 100_000
  package var leases = 4_000_000
  package var claims = 1_000_000
  package var bindings = 10_000
  package var oneShots = 100_000
  /// Bytes of replies to requests without a session that are remembered.
  package var oneShotBytes = 64 << 20
  /// Bytes of replies that all sessions together may store.
  package var allStoredReplyBytes = 1 << 30
  /// How far ahead of cluster time the expiry of a request without a session may lie.
  package var oneShotAhead: UInt64 = 60_000_000_000
  /// The longest reply that a mutating request may have.
  package var replyBytes = 1 << 20
  /// Operations and compares of one command, keys that it changes, and keys that its ranges look at: nothing else
  /// happens meanwhile, so that many stay under 1 ms.
  package var operations = 512
  /// Keys, claims and deadlines that one entry clears away.
  package var clearingSteps = 192
  /// Revisions that history keeps however old they are.
  package var historyRevisions: UInt64 = 10_000
  /// How long history keeps revisions, nanoseconds.
  package var historyAge: UInt64 = 300_000_000_000
  /// What history may cost in bytes before ``historyRevisions`` alone keeps it.
  package var historyBytes: UInt64 = 64 << 20
  /// Keys and values of one page, and the most that are asked for.
  package var pageKeys = 512
  package var pageBytes = 1 << 20
  /// Sessions, leases, locks or keys of one list.
  package var listed = 250
  #if PLANTED_BUGS
  /// A mistake that a test has switched on.
  package var flaw: Flaw?
  #endif

  package init() {}

  package static let shortestTTL: UInt64 = 100
  package static let longestTTL: UInt64 = 366 * 86_400_000
  /// The longest rest of a lock, milliseconds.
  package static let longestLockDelay: UInt64 = 60_000
}
