import RoostClientCore
import RoostJournal
import RoostRaft
import RoostReplica
import RoostStateMachine
import RoostWire

/// Judgement of what is inside: disks behind words, logs of leaders, memory, and what clients believe.
extension SimulatedCluster {
  func judge(_ write: Write, of node: SimulatedNode, _ life: NodeLife) {
    let (term, end) = life.look { ($0.consensus.term, $0.consensus.lastPosition) }
    if let problem = node.oath.willWrite(write, in: term, endingAt: end) {
      breach("goes back on its word", "node \(node.id) \(problem)")
    }
    guard let first = write.entries.first?.index else { return }
    let before = LogIndex(first.rawValue - 1)
    let behind = life.look { $0.consensus.term(at: before) }
    if let problem = judge.willWrite(write.entries, behind: behind, at: now) {
      breach("logs do not match", "node \(node.id): \(problem)")
    }
  }

  func judgeLeader(_ node: SimulatedNode, _ life: NodeLife, _ term: Term) {
    life.ledIn = term
    if let problem = judge.leads(node.id, in: term) { breach("two leaders", problem) }
    if let problem = node.oath.judgeLeadership(of: node.id, in: term) {
      breach("not on the disk", "node \(node.id) \(problem)")
    }
    let problem = life.look { replica in
      judge.judgeLeader(in: term, from: replica.consensus.firstIndex) { index in
        replica.consensus.term(at: index)
      }
    }
    if let problem { breach("incomplete leader", "node \(node.id) \(problem)") }
  }

  func judgeMemory(_ node: SimulatedNode, _ life: NodeLife) {
    var load = life.look {
      MemoryJudge.Load(
        uncommittedBytes: $0.consensus.isEstablished ? $0.consensus.uncommittedByteCount : 0,
        watches: $0.watchCount
      )
    }
    var watched = 0
    for connection in life.connections.values {
      load.unsentEventBytes = max(load.unsentEventBytes, connection.unsentEvents)
      load.owedAnswers = max(load.owedAnswers, connection.owed.count)
      let unsent = connection.outbox.count + (connection.downward?.byteCount ?? 0)
      load.unsentBytes = max(load.unsentBytes, unsent)
      if connection.watches {
        watched += clients[connection.client].plan.watches * Self.readerLimit
      }
    }
    // A client that gave a watch up for another had both for a moment.
    let bounds = MemoryJudge.Bounds(
      uncommittedBytes: plan.settings.uncommittedByteLimit + plan.journal.payloadLimit + 65_536,
      watches: 2 * watched
    )
    if let problem = MemoryJudge.judge(load, bounds) {
      breach("memory without bound", "node \(node.id) \(problem)")
    }
  }

  /// What clients believe to have they have: sessions with their locks, and leases.
  ///
  /// It stands on the rates of clocks, so not where they leap.
  func judgeBeliefs() {
    guard judge.judgesTime else { return }
    for client in clients {
      let local = client.now(now)
      if let session = client.machine.openSession,
        let problem = judge.judgeBelief(
          in: session.rawValue,
          until: client.machine.surelyHeldUntil,
          at: local
        )
      {
        breach("false belief", "client \(client.number + 1): session \(problem)")
      }
      for token in client.knownTokens where client.machine.holds(token) {
        guard let problem = judge.judgeHold(of: token) else { continue }
        breach("false belief", "client \(client.number + 1) \(problem)")
      }
      for lease in client.keptLeases {
        let until = client.machine.surelyLives(lease)
        guard let problem = judge.judgeBelief(in: lease, until: until, at: local) else { continue }
        breach("false belief", "client \(client.number + 1): lease \(problem)")
      }
    }
  }

  /// What a client is told to have lost it has lost.
  func judgeLoss(of id: UInt64, _ what: String, _ client: SimulatedClient) {
    guard judge.locks.lives(id, at: judge.oracle.time) else { return }
    breach("false loss", "client \(client.number + 1) is told that \(what) \(id) is over")
  }
}
