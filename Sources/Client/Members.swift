internal import RoostClientCore
internal import RoostWire

/// What a member shall be.
public enum MembershipGoal: Sendable, Hashable {
  /// Gets the log, and has no vote.
  case learner
  /// Votes; who is new learns the log first.
  case voter
  /// Is no member.
  case gone
}

/// What one member shall be once a change is done.
public struct MembershipWish: Sendable, Hashable {
  let wish: MemberWish

  /// A wish for a member; one that is new needs its address and incarnation, as its status tells them.
  public init(
    _ id: UInt64,
    _ goal: MembershipGoal,
    priority: UInt8? = nil,
    address: String = "",
    incarnation: UInt64 = 0
  ) {
    let goals: [MembershipGoal: MemberGoal] = [.learner: .learner, .voter: .voter, .gone: .gone]
    wish = MemberWish(
      NodeID(max(id, 1)),
      goals[goal] ?? .learner,
      priority: priority ?? MemberWish.samePriority,
      incarnation: incarnation,
      address: Array(address.utf8.prefix(MemberWish.addressLimit))
    )
  }
}

/// The cluster itself. For operators.
extension Cluster {
  /// Makes all wishes come true in one step; members that are not named stay what they are.
  ///
  /// It may be repeated: what is so already is no change.
  public func change(
    _ wishes: [MembershipWish],
    within limit: Duration? = nil
  ) async throws(ClientError) {
    guard !wishes.isEmpty, Set(wishes.map(\.wish.id)).count == wishes.count,
      wishes.count <= MembershipChange.wishLimit
    else { throw .invalid("a change names 1 to 64 members, none twice") }
    let change = MembershipChange(wishes.map(\.wish))
    _ = try await ask(.admin(.change(change)), within: limit ?? configuration.timeout)
  }

  /// Hands leadership to a member; nil: to whoever is best placed.
  public func transferLeadership(to member: UInt64? = nil) async throws(ClientError) {
    _ = try await ask(.admin(.transferLeadership(NodeID(member ?? 0))))
  }
}
