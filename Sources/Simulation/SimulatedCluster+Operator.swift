import RoostRaft
import RoostReplica
import RoostWire

/// Whoever looks after the cluster: says who is to belong to it, and to whom leadership goes.
extension SimulatedCluster {
  var foundingMembership: Membership {
    Membership(founding: (0..<plan.founderCount).map { member($0, goal: .voter, .zero) })
  }

  private func member(_ number: Int, goal: Goal, _ incarnation: Incarnation) -> Member {
    Member(
      NodeID(UInt64(number + 1)),
      goal: goal,
      incarnation: incarnation,
      priority: plan.priorities[number]
    )
  }

  func strikeLeader(_ action: FaultAction) {
    switch action {
    case .members(let voters, let learners):
      wanted = nodes.indices.map { node in
        voters.contains(node) ? .voter : learners.contains(node) ? .learner : nil
      }
      // Somebody must be able to lead.
      for node in voters where !voters.contains(where: { plan.priorities[$0] > 0 }) {
        wanted[node] = nil
      }
      if wanted.allSatisfy({ $0 != .voter }) { wanted = nodes.map { _ in .voter } }
    default:
      for node in nodes {
        guard let life = node.life, now >= node.pausedUntil,
          life.look({ $0.consensus.isLeader })
        else { continue }
        let local = max(life.lastNow, node.clock.local(at: now))
        if life.replica.handOver(now: local) { tell("node \(node.id)", "is to hand over") }
        wake(node)
      }
    }
  }

  /// Now and then: asks every node that leads for the membership that is wanted.
  func operate() {
    queue.add(.operate, at: now + (plan.theme == .membership ? 60 : 500) * StormPlan.millisecond)
    for node in nodes {
      guard let life = node.life, now >= node.pausedUntil,
        life.look({ $0.consensus.isLeader })
      else { continue }
      let (membership, isCommitted) = life.look {
        ($0.consensus.membership, $0.consensus.isMembershipCommitted)
      }
      let members = membersToAsk(beside: membership)
      if membership.phase == .settled, membership.isAs(members) {
        if isCommitted { reviewImpaired(membership) }
        continue
      }
      let local = max(life.lastNow, node.clock.local(at: now))
      do throws(ChangeRefusal) {
        try life.replica.change(to: members, now: local)
        tell("node \(node.id)", "begins a change to \(members.map { $0.story })")
        meet(.membershipChanged)
        wake(node)
      } catch {
        if error == .wouldLoseQuorum { meet(.changeRefusedForQuorum) }
        if error != .nothingToChange, error != .changeUnderWay {
          tell("node \(node.id)", "refuses a change: \(error)")
        }
      }
    }
  }

  /// Who is wanted; whoever came back with another disk first has to go.
  private func membersToAsk(beside membership: Membership) -> [Member] {
    var members: [Member] = []
    for node in nodes {
      guard let goal = wanted[node.number] else { continue }
      if let present = membership[node.id], present.incarnation != node.incarnation { continue }
      members.append(member(node.number, goal: goal, node.incarnation))
    }
    // While those who should lead are gone, somebody else must be able to.
    if !members.contains(where: { $0.goal == .voter && $0.priority > 0 }),
      let place = members.firstIndex(where: { $0.goal == .voter })
    {
      members[place].priority = 1
    }
    return members
  }

  /// What a node had lost it has again.
  private func reviewImpaired(_ membership: Membership) {
    guard let impaired, let life = nodes[impaired].life, nodes[impaired].startFuse == nil else {
      return
    }
    let node = nodes[impaired]
    let isMember = membership.contains(node.id, node.incarnation)
    let (last, applied) = life.look { ($0.consensus.lastPosition, $0.applied) }
    guard isMember || wanted[impaired] == nil, Int(applied.rawValue) >= judge.entries.count,
      (last.term, last.index) >= (life.promised.term, life.promised.index)
    else { return }
    if life.promised != .start { meet(.damageHealed) }
    self.impaired = nil
  }
}

extension Membership {
  /// Whether these are the members, with these goals.
  fileprivate func isAs(_ asked: [Member]) -> Bool {
    members.count == asked.count
      && zip(members, asked).allSatisfy {
        $0.id == $1.id && $0.incarnation == $1.incarnation && $0.goal == $1.goal
      }
  }
}

extension Member {
  fileprivate var story: String {
    goal == .voter ? "voter \(id)" : goal == .learner ? "learner \(id)" : "nobody \(id)"
  }
}
