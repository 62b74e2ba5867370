package import RoostWire

/// What a leader knows about one member, itself included.
struct Progress: Hashable, Sendable {
  var id: NodeID
  var incarnation: Incarnation
  /// Whether it counts in the old voter set, and in the new one of a joint membership.
  var votes = false
  var decidesAnew = false

  /// The member has the leader's entries up to here on its disk, or has promised to act as if it had.
  var match: LogIndex = .zero
  /// The next entry to send.
  var next: LogIndex
  var mode: Mode = .probe
  /// In `probe`: the round in which an append went out that was not answered.
  var probedIn: UInt64?
  var flights: [Flight] = []
  /// The newest quorum round when it was last sent entries, or last seen to have them.
  private var settledIn: UInt64 = 0
  private(set) var byteCountInFlight = 0
  /// The newest quorum round that the member has answered.
  var confirmedRound: UInt64 = 0
  /// When it last answered anything, as a leader judges who lives; nothing safe hangs on it.
  var heardAt: Instant?
  var announcedCommit: LogIndex = .zero
  var transfer: SnapshotTransfer?
  var catchUp: CatchUp?

  enum Mode: UInt8, Sendable {
    /// Looking for the place where the logs agree, one message at a time.
    case probe
    /// The logs agree: entries are sent before the earlier ones are answered.
    case replicate
    /// What it needs is no longer in the log.
    case snapshot
  }

  /// A message with entries that was not answered.
  struct Flight: Hashable, Sendable {
    let last: LogIndex
    let byteCount: Int
    /// The newest quorum round when it was sent.
    let round: UInt64
  }

  init(_ member: Member, next: LogIndex) {
    id = member.id
    incarnation = member.incarnation
    self.next = next
  }

  mutating func becomeProbe(next: LogIndex) {
    mode = .probe
    self.next = max(next, match.next)
    probedIn = nil
    transfer = nil
    clearFlights()
  }

  mutating func becomeReplicate(next: LogIndex, in round: UInt64) {
    mode = .replicate
    settledIn = round
    self.next = max(next, match.next)
    probedIn = nil
    transfer = nil
    clearFlights()
  }

  mutating func becomeSnapshot(_ transfer: SnapshotTransfer) {
    mode = .snapshot
    probedIn = nil
    self.transfer = transfer
    clearFlights()
  }

  mutating func didSend(through last: LogIndex, byteCount: Int, in round: UInt64) {
    flights.append(Flight(last: last, byteCount: byteCount, round: round))
    byteCountInFlight += byteCount
    settledIn = round
    next = last.next
  }

  mutating func didMatch(_ index: LogIndex) {
    match = max(match, index)
    next = max(next, match.next)
    var landed = 0
    for flight in flights {
      guard flight.last <= match else { break }
      byteCountInFlight -= flight.byteCount
      landed += 1
    }
    flights.removeFirst(landed)
  }

  /// The member says that it has no more than this.
  mutating func didLose(after index: LogIndex) { match = min(match, index) }

  /// Whether a round that began later was answered without what was sent before it.
  ///
  /// The network may have lost it, or the member what it had not yet compared with this leader.
  func hasLost(received: LogIndex, round: UInt64) -> Bool {
    guard received < next.previous else { return false }
    return round > settledIn || flights.contains { $0.round < round && $0.last > received }
  }

  private mutating func clearFlights() {
    flights.removeAll(keepingCapacity: true)
    byteCountInFlight = 0
  }
}

/// How far a snapshot has been sent to a follower.
struct SnapshotTransfer: Hashable, Sendable {
  let snapshot: SnapshotDescriptor
  /// What the follower has; nil while that is not known.
  var received: UInt64?
  /// Whether the follower had some of it when it last told.
  var hasBegun = false
  /// When something last happened; a transfer that stands still is asked again.
  var movedAt: Instant

  init(snapshot: SnapshotDescriptor, movedAt: Instant) {
    self.snapshot = snapshot
    self.movedAt = movedAt
  }
}

/// How a future voter learns the log, in rounds (thesis §4.2.1): each round is what the log had when it
/// began; one shorter than an election timeout shows that the member keeps up.
struct CatchUp: Hashable, Sendable {
  var target: LogIndex
  var startedAt: Instant
  var isDone = false
}

/// What a leader knows about a member, for people to look at.
package struct MemberStatus: Hashable, Sendable {
  package let id: NodeID
  package let match: LogIndex
  package let next: LogIndex
  package let byteCountBehind: Int
  package let byteCountInFlight: Int
  package let isReceivingSnapshot: Bool
  /// When it last answered.
  package let heardAt: Instant?
}
