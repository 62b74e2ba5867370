import RoostClientCore
import RoostJournal
import RoostRaft
import RoostReplica
import RoostStateMachine
import RoostWire

/// Rare situations, noted where they show.
extension SimulatedCluster {
  func noteStart(_ node: SimulatedNode, _ life: NodeLife, _ recovered: Recovered) {
    let last = life.look { $0.consensus.lastIndex }
    life.lastStaged = last
    if recovered.snapshot != nil { meet(.startFromSnapshot) }
    life.begunBefore = recovered.incoming?.snapshot
    if recovered.incoming != nil { meet(.startWithPartOfSnapshot) }
    if last < node.lastIndexAtEnd { meet(.entriesLost) }
    if recovered.hardState.vote != .zero { meet(.voteKept) }
    if node.wasLeaderIn != .zero, node.wasLeaderIn == recovered.hardState.term {
      meet(.restartDuringTerm)
    }
    for finding in recovered.findings {
      if case .tornTail = finding { meet(.tornTail) }
    }
  }

  func note(_ change: LeaderReport, of node: SimulatedNode, _ life: NodeLife) {
    switch (life.role, change.role) {
    case (_, .leader):
      meet(.leaderChosen)
      let next = life.look { $0.consensus.entry(at: $0.consensus.commitIndex.next) }
      if let next, next.term < change.term { meet(.openingOverOlderTerm) }
      let leaders = nodes.count { $0.life?.look { $0.consensus.isLeader } == true }
      if leaders > 1 { meet(.twoBelieveToLead) }
    case (.leader, _):
      meet(.leaderDeposed)
      meet(change.term == life.term ? .leaderWithoutQuorum : .staleLeaderReturns)
    case (.candidate, .candidate), (.candidate, .preCandidate): meet(.splitVote)
    default: break
    }
    life.role = change.role
    life.term = change.term
  }

  func note(_ write: Write, of node: SimulatedNode, _ life: NodeLife) {
    if let first = write.truncateFrom, first <= life.lastStaged {
      meet(.logCut)
      if life.lastStaged.rawValue - first.rawValue >= 2 { meet(.longLogCut) }
      if first <= life.lastOwn { meet(.ownEntriesLost) }
    }
    if let last = write.entries.last {
      life.lastStaged = last.index
      if life.look({ $0.consensus.isLeader }) { life.lastOwn = last.index }
      if write.entries.contains(where: { $0.byteCount > plan.journal.groupByteLimit }) {
        meet(.largeEntry)
      }
    }
    life.underWay.append(write.ticket.rawValue)
    if life.underWay.count > 1 { meet(.manyWritesUnderWay) }
  }

  func note(_ message: Message, isLost: Bool) {
    switch message.body {
    case .preVoteReply(_, let granted) where !granted: meet(.preVoteRefused)
    case .voteReply(let granted) where !granted: meet(.voteRefused)
    case .newerTerm: meet(.termTold)
    case .append(let request) where request.entries.count >= 10: meet(.manyEntriesAtOnce)
    case .rejected(let rejection):
      meet(.appendRejected)
      if rejection.hint.index.rawValue + 20 < judge.entries.count { meet(.catchesUpFromNothing) }
    case .readRequest: meet(.readAskedOfLeader)
    case .readRefused: meet(.readRefused)
    case .snapshotChunk: meet(.snapshotSent)
    case .campaignNow: meet(.leadershipHandedOver)
    default: break
    }
  }

  /// What the answers to calls show.
  func note(_ call: RecordedCall) {
    switch call.reply {
    case .failure(let failure):
      switch failure.code {
      case .conditionFailed: meet(.conditionFailed)
      case .sessionExpired: meet(.sessionExpired)
      case .fenced: meet(.staleTokenRefused)
      default: break
      }
    case .transaction(let reply) where !reply.succeeded: meet(.transactionElse)
    case .outcome(.executed): meet(.outcomeExecuted)
    case .outcome(.barred): meet(.outcomeBarred)
    case .value(let revision, _):
      if case .query(.serializable, _) = call.kind, revision < judge.oracle.revision {
        meet(.oldReadAnswered)
      }
    default: break
    }
    guard case .failed(let failure) = call.result else { return }
    if failure.reason == .sessionEnded { meet(.sessionExpired) }
    if failure.reason == .noQuorum, !call.isCommand { meet(.readWithoutQuorum) }
    if let identity = call.identity, judge.execution(of: identity) != nil {
      meet(.executedWithoutAnswer)
    }
  }
}

extension LogIndex {
  var next: LogIndex { LogIndex(rawValue + 1) }
}
