import RoostRaft
import RoostWire

/// Knows what nobody inside a cluster knows, and says which promise was broken first.
struct Judge {
  /// Election safety: whom each term made leader.
  private var leaders: [Term: NodeID] = [:]
  /// State machine safety: what was committed at each index, from 1 on.
  private(set) var committed: [Entry] = []
  /// The commit index when each read began.
  private var floors: [NodeID: [ReadID: LogIndex]] = [:]
  private(set) var readCount = 0
  private(set) var failedReadCount = 0

  var commitIndex: LogIndex { LogIndex(UInt64(committed.count)) }

  mutating func didBeginRead(_ id: ReadID, at node: NodeID) {
    floors[node, default: [:]][id] = commitIndex
  }

  mutating func forgetReads(of node: NodeID) { floors[node] = nil }

  /// Looks at a node after an input; answers with the first promise that it broke.
  ///
  /// `elapsed` is the real time since the cluster was founded, in nanoseconds.
  mutating func see(
    _ core: Consensus,
    _ effects: Effects,
    disk: World.Disk,
    elapsed: UInt64
  ) -> String? {
    core.brokenInvariant ?? judgeLeader(core) ?? judgeCommit(core, elapsed)
      ?? judgeReads(core, effects) ?? judgePromises(core, effects, disk)
  }

  /// Nothing is promised that a crash at this moment could break.
  private func judgePromises(
    _ core: Consensus,
    _ effects: Effects,
    _ disk: World.Disk
  ) -> String? {
    for envelope in effects.messages {
      let term = envelope.message.term
      switch envelope.message.body {
      case .voteReply(granted: true):
        guard disk.hardState == HardState(term: term, vote: envelope.recipient) else {
          return "\(core.id) tells a vote that is not on its disk"
        }
      case .voteRequest:
        guard disk.hardState == HardState(term: term, vote: core.id) else {
          return "\(core.id) campaigns without its own vote on its disk"
        }
      case .accepted(let acceptance) where acceptance.match >= core.firstIndex:
        let held = core.entry(at: acceptance.match)?.position
        guard held != nil, disk.position(at: acceptance.match) == held else {
          return "\(core.id) acknowledges \(acceptance.match), which is not on its disk"
        }
      default: break
      }
    }
    return nil
  }

  private mutating func judgeLeader(_ core: Consensus) -> String? {
    guard core.isLeader else { return nil }
    if let known = leaders[core.term] {
      return known == core.id
        ? nil : "election safety: \(known) and \(core.id) lead term \(core.term)"
    }
    leaders[core.term] = core.id
    // Leader completeness: all that is committed is in the new leader's log.
    for entry in committed where entry.index >= core.firstIndex {
      if core.entry(at: entry.index) != entry {
        return "leader completeness: \(core.id) lacks \(entry.position)"
      }
    }
    return nil
  }

  private mutating func judgeCommit(_ core: Consensus, _ elapsed: UInt64) -> String? {
    while commitIndex < core.commitIndex {
      let index = LogIndex(commitIndex.rawValue + 1)
      guard let entry = core.entry(at: index) else {
        return "\(core.id) committed \(index) first and has compacted it"
      }
      if let last = committed.last, last.time > entry.time {
        return "cluster time fell at \(index)"
      }
      committed.append(entry)
    }
    var index = core.commitIndex
    // Log matching makes the last one speak for those before it; look at a few.
    for _ in 0..<4 {
      guard index >= core.firstIndex else { break }
      let expected = committed[Int(index.rawValue) - 1]
      if core.entry(at: index) != expected {
        return "state machine safety: \(core.id) committed another entry at \(index)"
      }
      index = LogIndex(index.rawValue - 1)
    }
    return nil
  }

  private mutating func judgeReads(_ core: Consensus, _ effects: Effects) -> String? {
    for read in effects.readsReady {
      guard let floor = floors[core.id]?.removeValue(forKey: read.id) else {
        return "read \(read.id) was answered and not asked"
      }
      readCount += 1
      if read.index < floor {
        return "stale read: \(read.index) at \(core.id), committed was \(floor)"
      }
    }
    for id in effects.readsFailed {
      guard floors[core.id]?.removeValue(forKey: id) != nil else {
        return "read \(id) failed and was not asked"
      }
      failedReadCount += 1
    }
    return nil
  }
}
