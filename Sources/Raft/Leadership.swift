internal import RoostWire

/// What a node has only while it leads.
struct Leadership: Hashable, Sendable {
  /// Ordered by id, with the leader itself if it is a member.
  var progress: [Progress] = []
  /// The entry that opened the term; before it is committed nothing older is known to be (§5.4.2).
  let openingIndex: LogIndex
  var clock: ClusterClock
  /// The newest quorum round: the instant when it was sent, made greater than the one before.
  var round: UInt64 = 0
  var heartbeatDeadline: Instant
  /// When the commit index is sent alone, if nothing else carried it before.
  var noticeDeadline: Instant?
  /// Silence of the quorum is counted from here on: the election, or the end of a pause.
  var countsSilenceFrom: Instant
  /// In the order in which they came, and so in the order of the rounds they need.
  var reads: [WaitingRead] = []
  /// Rounds that reads began, and that are not confirmed.
  var readRounds: [UInt64] = []
  var transfer: LeadershipTransfer?
  /// Somebody was told to campaign, so loyalty to this leader proves nothing for the rest of the term.
  var hasForfeitedLease = false
  /// Since when a preferred node could have taken over.
  var preferred: PreferredNode?

  init(openingIndex: LogIndex, clock: ClusterClock, heartbeatDeadline: Instant, now: Instant) {
    self.openingIndex = openingIndex
    self.clock = clock
    self.heartbeatDeadline = heartbeatDeadline
    countsSilenceFrom = now
  }

  func slot(of id: NodeID) -> Int? {
    for slot in progress.indices where progress[slot].id == id { return slot }
    return nil
  }

  /// The newest round that a majority of each voter set has answered.
  var quorumRound: UInt64 { agreed { $0.confirmedRound } }

  /// The greatest number that a majority of each voter set has reached.
  func agreed(_ value: (Progress) -> UInt64) -> UInt64 {
    let old = Self.majority(of: progress, among: { $0.votes }, value)
    guard progress.contains(where: { $0.decidesAnew }) else { return old }
    return min(old, Self.majority(of: progress, among: { $0.decidesAnew }, value))
  }

  /// Raft §5.3: a set is so small that comparing all with all beats sorting, and allocates nothing.
  private static func majority(
    of progress: [Progress],
    among isVoter: (Progress) -> Bool,
    _ value: (Progress) -> UInt64
  ) -> UInt64 {
    var best: UInt64 = 0
    for candidate in progress where isVoter(candidate) {
      let bound = value(candidate)
      guard bound > best else { continue }
      var tally = Tally()
      for voter in progress where isVoter(voter) { tally.count(value(voter) >= bound) }
      if tally.isMajority { best = bound }
    }
    return best
  }
}

/// A read that waits until a quorum has confirmed the leader after it came.
struct WaitingRead: Hashable, Sendable {
  var source: Source
  let index: LogIndex
  /// A round that began after the read came.
  let round: UInt64

  enum Source: Hashable, Sendable {
    case local(ReadID)
    case follower(NodeID, ReadTicket)
  }
}

struct LeadershipTransfer: Hashable, Sendable {
  var target: NodeID
  var deadline: Instant
  /// The target has the whole log and was asked to campaign.
  var wasTold = false
}

struct PreferredNode: Hashable, Sendable {
  var id: NodeID
  var since: Instant
}

/// What a node has only while it asks for votes.
struct Candidacy: Hashable, Sendable {
  let kind: Kind
  /// Names this attempt, for answers to the pre-vote.
  let round: UInt64
  /// Those who agreed; ordered by id.
  private(set) var granted: [NodeID] = []

  enum Kind: Hashable, Sendable {
    case preVote
    case vote(isTransfer: Bool)
  }

  init(_ kind: Kind, round: UInt64) {
    self.kind = kind
    self.round = round
  }

  mutating func grant(by voter: NodeID) {
    guard !granted.contains(voter) else { return }
    granted.append(voter)
    granted.sort()
  }
}

/// What a node has only while it knows the leader of its term, and is not it.
struct Following: Hashable, Sendable {
  var leader: NodeID
  var heardAt: Instant
  /// The log agrees with this leader's up to here.
  var verified: LogIndex
  /// The last index that this leader was told is on the disk.
  var acknowledged: LogIndex = .zero
  /// The newest quorum round of this leader.
  var round: UInt64 = 0
  /// Reads that wait for the leader's answer, in the order of their sequences.
  var reads: [AskedRead] = []
  /// When the oldest unanswered question is asked again.
  var askAgainAt: Instant?

  mutating func verify(through index: LogIndex) { verified = max(verified, index) }
}

struct AskedRead: Hashable, Sendable {
  let id: ReadID
  let sequence: UInt64
}
