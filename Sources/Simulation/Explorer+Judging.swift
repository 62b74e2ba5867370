internal import RoostRaft
internal import RoostWire

// The rules: Raft Figure 3, and what is promised to the world.

extension Explorer {
  /// The first rule that the state after an event at `slot` breaks.
  func breach(after slot: Int) -> String? {
    breachOfMatching(slot) ?? breachOfCompleteness() ?? breachOfCommitment()
  }

  /// Log matching, in memory and on disks.
  private func breachOfMatching(_ slot: Int) -> String? {
    let changed = facts(slot)
    for other in next.nodes.indices where other != slot {
      let facts = facts(other)
      if !places.logs.match(changed.memory, facts.memory)
        || !places.logs.match(changed.disk, facts.disk)
      {
        return "log matching: \(changed.id) and \(facts.id) differ before an entry that both have"
      }
    }
    return nil
  }

  /// Leader completeness: what was committed in an earlier term is in a leader's log.
  private func breachOfCompleteness() -> String? {
    let history = histories[Int(next.history)]
    for slot in next.nodes.indices {
      let facts = facts(slot)
      guard facts.isLeader else { continue }
      let length = history.commitTerms.count { UInt64($0) < facts.term }
      let needed = places.logs.prefix(of: history.committed, length: UInt64(length))
      if places.logs.prefix(of: facts.memory, length: UInt64(length)) != needed {
        return "leader completeness: \(facts.id) leads term \(facts.term) without what is committed"
      }
    }
    return nil
  }

  /// What is committed is on the disks of a majority, and who lacks it cannot be elected.
  ///
  /// Judged where the voters are always the same, and none forgets.
  private func breachOfCommitment() -> String? {
    guard model.changes.isEmpty, model.trustsDisks else { return nil }
    let committed = histories[Int(next.history)].committed
    guard committed != 0 else { return nil }
    let length = places.logs.length(of: committed)
    var copies = 0
    for slot in 0..<model.voterCount {
      if places.logs.prefix(of: facts(slot).disk, length: length) == committed { copies += 1 }
    }
    guard copies * 2 > model.voterCount else {
      return "what is committed is on the disks of \(copies) of \(model.voterCount) voters"
    }
    for slot in 0..<model.voterCount where mayWin(slot, without: committed, length) {
      return "leader completeness: \(slot + 1) could be elected without what is committed"
    }
    return nil
  }

  private func mayWin(_ slot: Int, without committed: UInt32, _ length: UInt64) -> Bool {
    let log = facts(slot).memory
    guard places.logs.prefix(of: log, length: length) != committed else { return false }
    var votes = 0
    for other in 0..<model.voterCount
    where places.logs.isAtLeastAsNew(log, as: facts(other).memory) {
      votes += 1
    }
    return votes * 2 > model.voterCount
  }

  private func facts(_ slot: Int) -> ExploredFacts { places.facts[Int(next.nodes[slot])] }

  /// Whether those who had to agree have on their disks what the leader took to be committed.
  func isDurable(_ commit: ExploredStep.Commit, _ leader: ExploredFacts) -> Bool {
    let length = commit.index.rawValue
    let entries = places.logs.prefix(of: leader.memory, length: length)
    var old = (voters: 0, holders: 0)
    var new = (voters: 0, holders: 0)
    for member in commit.membership.members {
      let slot = Int(member.id.rawValue) - 1
      let holds = places.logs.prefix(of: facts(slot).disk, length: length) == entries ? 1 : 0
      if member.votes { old = (old.voters + 1, old.holders + holds) }
      if member.goal == .voter { new = (new.voters + 1, new.holders + holds) }
    }
    let isOldMajority = old.holders * 2 > old.voters
    guard commit.membership.phase == .joint else { return isOldMajority }
    return isOldMajority && new.holders * 2 > new.voters
  }
}

extension ExploredHistory {
  /// Takes note of a leader; false if the term had one.
  mutating func crown(_ term: UInt64) -> Bool {
    let bit: UInt64 = 1 << term
    guard reigns & bit == 0 else { return false }
    reigns |= bit
    return true
  }

  /// Takes note of what a node takes to be committed; false if it contradicts what another did.
  mutating func commit(_ facts: ExploredFacts, _ logs: ExploredLogs) -> Bool {
    guard logs.agree(facts.committed, committed) else { return false }
    let length = Int(logs.length(of: facts.committed))
    while commitTerms.count < length { commitTerms.append(UInt8(facts.term)) }
    if logs.length(of: committed) < UInt64(length) { committed = facts.committed }
    return true
  }

  /// Takes note of an answer; false if it is too old, or not the first.
  mutating func answer(_ read: ReadyRead) -> Bool {
    let place = Int(read.id.rawValue) - 1
    guard readFloors.indices.contains(place), let floor = readFloors[place] else { return false }
    readFloors[place] = nil
    return read.index.rawValue >= UInt64(floor)
  }
}
