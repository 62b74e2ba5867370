internal import RoostRaft
package import RoostWire

/// Who asked for a change of the members that is not complete, or for a transfer.
struct WaitingAdmin: Sendable {
  enum Wish: Sendable {
    case members([MemberWish])
    /// 0: any other member.
    case leader(NodeID)
  }

  let waiter: Waiter
  let wish: Wish
}

/// Requests about the cluster itself: who its members are, and which of them leads.
extension Replica {
  /// How many such requests may wait here.
  static let waitingAdminLimit = 256

  /// Takes in an operator's request; a member that does not lead hands it on.
  package mutating func admin(
    _ bytes: borrowing Span<UInt8>,
    from client: ClientTicket,
    now: Instant,
    into effects: inout ReplicaEffects
  ) {
    if consensus.isLeader || isOutsider {
      perform(bytes, for: .client(client), now: now, into: &effects)
    } else if leader != .zero {
      let ticket = forwards.add(client, to: leader, until: now.advanced(by: Self.adminPatience))
      var forward = Forward(ticket: ticket, isReply: false, bytes: bytes.copied())
      forward.isAdmin = true
      effects.forwards.append(forward)
    } else {
      let quiet = now.nanoseconds(since: heardAt)
      answer(.client(client), Failure(.noQuorum, detail: quiet), into: &effects)
    }
  }

  /// How long an operator's request that was handed on may take: a new member has to learn the log meanwhile.
  private static let adminPatience = Duration.seconds(120)

  /// Takes in an operator's request that another member handed on.
  package mutating func receiveForwardAdmin(
    _ bytes: borrowing Span<UInt8>,
    from ticket: ForwardTicket,
    now: Instant,
    into effects: inout ReplicaEffects
  ) {
    perform(bytes, for: .member(ticket), now: now, into: &effects)
  }

  private mutating func perform(
    _ bytes: borrowing Span<UInt8>,
    for waiter: Waiter,
    now: Instant,
    into effects: inout ReplicaEffects
  ) {
    var input = bytes.extracting(...)
    guard let request = try? AdminRequest(decoding: &input), input.isEmpty else {
      return answer(waiter, Failure(.malformed), into: &effects)
    }
    if let refusal { return answer(waiter, Failure(refusal), into: &effects) }
    guard consensus.isLeader else {
      return answer(waiter, Failure(.notLeader, detail: leader.rawValue), into: &effects)
    }
    guard waitingAdmin.count < Self.waitingAdminLimit else {
      return answer(waiter, Failure(.busy), into: &effects)
    }
    do throws(Failure) {
      switch request {
      case .change(let change):
        try begin(change, now: now)
        if change.answersAtOnce { return answerDone(waiter, into: &effects) }
        waitingAdmin.append(WaitingAdmin(waiter: waiter, wish: .members(change.wishes)))
      case .transferLeadership(let target):
        guard target != id else { return answerDone(waiter, into: &effects) }
        try beginTransfer(to: target, now: now)
        waitingAdmin.append(WaitingAdmin(waiter: waiter, wish: .leader(target)))
      }
    } catch {
      answer(waiter, error, into: &effects)
    }
  }

  private func answerDone(_ waiter: Waiter, into effects: inout ReplicaEffects) {
    answer(waiter, Reply.done.encoded().span, into: &effects)
  }

  // MARK: Members

  /// Begins a change, unless it is what is being done or was done already.
  private mutating func begin(_ change: MembershipChange, now: Instant) throws(Failure) {
    let membership = consensus.membership
    guard !change.wishes.allSatisfy({ membership.aims(at: $0) }) else { return }
    guard admitsRequests else { throw Failure(.diskFull) }
    var members = membership.members.filter { $0.goal != .gone }
    for wish in change.wishes { try Self.grant(wish, in: &members) }
    let version = change.version == 0 ? membership.version : change.version
    do throws(ChangeRefusal) {
      try consensus.change(to: members, ifVersion: version, now: now, into: &asked)
    } catch {
      throw Self.failure(for: error)
    }
  }

  private static func grant(_ wish: MemberWish, in members: inout [Member]) throws(Failure) {
    let place = members.firstIndex { $0.id == wish.id }
    guard wish.goal != .gone else {
      if let place { members.remove(at: place) }
      return
    }
    var member: Member
    if let place {
      member = members[place]
      member.goal = Goal(wish.goal)
    } else {
      guard !wish.address.isEmpty else {
        throw Failure(.unsoundMembership, bytes: Array("a new member needs an address".utf8))
      }
      member = Member(wish.id, goal: Goal(wish.goal))
    }
    if wish.incarnation != 0 { member.incarnation = Incarnation(wish.incarnation) }
    if wish.priority != MemberWish.samePriority { member.priority = wish.priority }
    if !wish.address.isEmpty { member.contact = wish.address }
    if let place { members[place] = member } else { members.append(member) }
  }

  private static func failure(for refusal: ChangeRefusal) -> Failure {
    switch refusal {
    case .notLeader(let hint): Failure(.notLeader, detail: hint.rawValue)
    case .transferring(let target): Failure(.notLeader, detail: target.rawValue)
    case .notEstablished: Failure(.busy)
    case .changeUnderWay: Failure(.changeUnderWay)
    case .otherVersion(let current): Failure(.otherMembership, detail: current)
    case .wouldLoseQuorum: Failure(.wouldLoseQuorum)
    case .idInUse(let id): Failure(.memberInUse, detail: id.rawValue)
    case .unsound(let reason): Failure(.unsoundMembership, bytes: Array(reason.utf8))
    case .nothingToChange: Failure(.changeUnderWay)
    }
  }

  // MARK: Leadership

  private mutating func beginTransfer(to target: NodeID, now: Instant) throws(Failure) {
    do throws(TransferRefusal) {
      let heir = target == .zero ? nil : target
      try consensus.transferLeadership(to: heir, now: now, into: &asked)
    } catch {
      switch error {
      case .notLeader(let hint): throw Failure(.notLeader, detail: hint.rawValue)
      case .transferring(let other):
        guard target == .zero || other == target else { throw Failure(.busy) }
      case .noSuccessor: throw Failure(.noSuccessor)
      }
    }
  }

  // MARK: Answers

  /// Answers those whose wishes have come true, or can't any more.
  mutating func answerAdmin(into effects: inout ReplicaEffects) {
    guard !waitingAdmin.isEmpty else { return }
    var left: [WaitingAdmin] = []
    for one in waitingAdmin {
      if let reply = reply(to: one.wish) {
        answer(one.waiter, reply.encoded().span, into: &effects)
      } else {
        left.append(one)
      }
    }
    waitingAdmin = left
  }

  private func reply(to wish: WaitingAdmin.Wish) -> Reply? {
    switch wish {
    case .members(let wishes):
      guard consensus.isLeader else { return .failure(Failure(.leadershipLost)) }
      let membership = consensus.membership
      guard membership.phase == .settled, consensus.isMembershipCommitted else { return nil }
      if wishes.allSatisfy({ membership.aims(at: $0) }) { return .done }
      return .failure(Failure(.otherMembership, detail: membership.version))
    case .leader(let target):
      if consensus.isLeader {
        return consensus.isTransferring ? nil : .failure(Failure(.noSuccessor))
      }
      guard leader != .zero else { return nil }
      return target == .zero || leader == target
        ? .done : .failure(Failure(.notLeader, detail: leader.rawValue))
    }
  }

  /// Whether this node knows that it is no member: it waits to be one, or was removed.
  package var isOutsider: Bool { !consensus.isMember && consensus.isMembershipCommitted }

  /// Whether a leader reigns, as far as this node can know at that moment.
  package func hearsLeader(now: Instant) -> Bool {
    if consensus.isLeader { return true }
    let patience = consensus.settings.electionTimeout.upperBound
    return leader != .zero && now < heardAt.advanced(by: patience)
  }
}

extension Membership {
  /// Whether that is what the member is, or will be once the change under way is done.
  func aims(at wish: MemberWish) -> Bool {
    guard let member = self[wish.id], member.goal != .gone else { return wish.goal == .gone }
    guard member.goal == Goal(wish.goal) else { return false }
    guard wish.priority == MemberWish.samePriority || wish.priority == member.priority else {
      return false
    }
    guard wish.incarnation == 0 || wish.incarnation == member.incarnation.rawValue else {
      return false
    }
    return wish.address.isEmpty || wish.address == member.contact
  }
}

extension Goal {
  init(_ goal: MemberGoal) {
    self =
      switch goal {
      case .learner: .learner
      case .voter: .voter
      case .gone: .gone
      }
  }
}

extension MemberGoal {
  init(_ goal: Goal) {
    self =
      switch goal {
      case .learner: .learner
      case .voter: .voter
      case .gone: .gone
      }
  }
}
