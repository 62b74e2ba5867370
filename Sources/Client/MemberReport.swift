internal import RoostClientCore
internal import RoostWire

/// How one endpoint is, as far as it could be asked.
public struct MemberReport: Sendable, Equatable {
  /// The endpoint that was asked.
  public let address: String
  /// What it answered; nil if it did not.
  public let status: MemberState?
  /// Why there is no answer.
  public let failure: String?

  init(address: String, _ result: CallResult) {
    self.address = address
    switch result {
    case .answered(let bytes):
      let decoded = try? NodeStatus(decodingAll: bytes)
      status = decoded.map { MemberState($0) }
      failure = decoded == nil ? "its answer is not understood; is it of another version?" : nil
    case .failed(let reason):
      status = nil
      failure = reason.endpoints.first { $0.address == address }?.failure ?? "no answer in time"
    }
  }
}

extension Sequence<MemberState> {
  /// Members that have applied the same entries and hold different states: at least one of them is damaged.
  ///
  /// Members that have not applied equally much can't be compared; ask again when less is written.
  public var divergent: [UInt64] {
    for (_, equals) in Dictionary(grouping: self, by: \.applied) {
      guard Set(equals.map(\.stateHash)).count > 1 else { continue }
      return equals.map(\.id).sorted()
    }
    return []
  }
}

/// What a node says of itself.
public struct MemberState: Sendable, Equatable {
  /// What a node is at the moment.
  public enum Role: String, Sendable {
    case follower, candidate, leader, learner, outsider
  }

  /// The member's number.
  public let id: UInt64
  /// What it is at the moment.
  public let role: Role
  /// The term it is in.
  public let term: UInt64
  /// The member that leads in that term, as far as this one knows.
  public let leader: UInt64?
  /// The last entry of its log.
  public let lastIndex: UInt64
  /// The last entry that it knows to be committed.
  public let committed: UInt64
  /// The last entry that its store contains.
  public let applied: UInt64
  /// The revision of its store.
  public let revision: UInt64
  /// A hash of that store: equal on all members that have applied the same entries.
  public let stateHash: UInt64
  /// How long it has heard no leader, or as a leader no quorum.
  public let quiet: Duration
  /// How long it has been running.
  public let uptime: Duration
  /// How its log gets onto the disk.
  public let journal: String
  /// The version of the membership that it knows.
  public let membershipVersion: UInt64
  /// Whether a change of members is under way.
  public let isChanging: Bool
  /// Names its data directory: what a change that makes it a member must say.
  public let incarnation: UInt64
  /// The members that it knows.
  public let members: [Member]

  /// A member as one node sees it.
  public struct Member: Sendable, Equatable {
    /// Its number.
    public let id: UInt64
    /// Where others reach it.
    public let address: String
    /// Whether it votes.
    public let isVoter: Bool
    /// What it shall be once the change that is under way is done: `learner`, `voter` or `gone`.
    public let goal: String
    /// Who should lead: the greatest among healthy voters.
    public let priority: Int
    /// The last entry that the leader knows it to hold; 0 where the answering node does not lead.
    public let matched: UInt64
  }

  init(_ status: NodeStatus) {
    id = status.node.rawValue
    role =
      switch status.role {
      case .follower: .follower
      case .candidate: .candidate
      case .leader: .leader
      case .learner: .learner
      case .outsider: .outsider
      }
    term = status.term.rawValue
    leader = status.leader == .zero ? nil : status.leader.rawValue
    lastIndex = status.lastIndex.rawValue
    committed = status.committed.rawValue
    applied = status.applied.rawValue
    revision = status.revision.rawValue
    stateHash = status[.stateHash]
    quiet = .nanoseconds(Int64(clamping: status.quietNanoseconds))
    uptime = .nanoseconds(Int64(clamping: status.upNanoseconds))
    journal = status.journal
    membershipVersion = status[.membershipVersion]
    isChanging = status[.membershipPhase] != 0
    incarnation = status[.incarnation]
    members = status.members.map {
      Member(
        id: $0.id.rawValue,
        address: $0.address,
        isVoter: $0.isVoter,
        goal: ["learner", "voter", "gone"][Int($0.goal.rawValue)],
        priority: Int($0.priority),
        matched: $0.matched.rawValue
      )
    }
  }
}
