/// Rare situations that a good mix of faults meets; a swarm says which it never did.
package enum CoverageMark: String, CaseIterable, Sendable {
  // Elections.
  case leaderChosen = "leader chosen"
  case leaderDeposed = "leader deposed"
  case leaderWithoutQuorum = "leader gives up without a quorum"
  case twoBelieveToLead = "two believe to lead"
  case splitVote = "election without a winner"
  case preVoteRefused = "pre-vote refused"
  case voteRefused = "vote refused"
  case termTold = "older term told of a newer one"
  case staleLeaderReturns = "deposed leader hears of its successor"
  case openingOverOlderTerm = "new leader holds uncommitted entries of older terms"
  case tickAfterLongSleep = "node wakes up after its election timeout"
  // Replication.
  case appendRejected = "append rejected"
  case logCut = "conflicting entries cut off"
  case longLogCut = "three or more entries cut off"
  case ownEntriesLost = "former leader cuts its own entries"
  case manyEntriesAtOnce = "ten or more entries in one message"
  case packetRepeated = "packet repeated"
  case packetFromOldLife = "packet arrives at a later start"
  case catchesUpFromNothing = "node far behind catches up"
  // Reads.
  case readAskedOfLeader = "follower asks for a read index"
  case readRefused = "read index refused"
  case readWithoutQuorum = "read fails without a quorum"
  case oldReadAnswered = "serializable read shows an old state"
  // Disk and restarts.
  case tornTail = "torn tail at a restart"
  case entriesLost = "unsynced entries lost at a restart"
  case voteKept = "vote of the present term kept over a restart"
  case restartDuringTerm = "leader restarts and its term goes on"
  case powerLostInTurn = "power lost in the middle of a turn"
  case writeFailed = "log write failed"
  case manyWritesUnderWay = "two or more log writes under way"
  case wholeClusterDown = "all nodes down at once"
  case damageHealed = "damaged log healed by the others"
  case diskFull = "disk full"
  case snapshotSaved = "snapshot saved"
  case snapshotFailed = "snapshot not saved"
  case snapshotSent = "snapshot part sent"
  case snapshotReceived = "snapshot received"
  case snapshotLoaded = "state replaced by a snapshot"
  case startFromSnapshot = "start from a snapshot"
  case startWithPartOfSnapshot = "start with a part of a snapshot from another node"
  case snapshotResumed = "snapshot received that had begun before a restart"
  case powerLostAtStart = "power lost in the middle of a start"
  case startRefusedByDisk = "start refused by the disk"
  case diskLost = "disk lost"
  case damagedBeyondHealing = "damaged so that the node was replaced"
  case oversizedFrame = "oversized frame refused"
  case changeRefusedForQuorum = "membership change refused for the quorum's sake"
  case membershipChanged = "membership changed"
  case leadershipHandedOver = "leadership handed over"
  // Requests and sessions.
  case retryAnswered = "repeated request got the first reply"
  case repetitionRefused = "repeated request refused as too late"
  case handedOn = "request handed on to the leader"
  case handedOnAndLost = "handed-on request loses its leader"
  case executedWithoutAnswer = "request executed, client gave up"
  case sessionExpired = "session ended before its request"
  case conditionFailed = "condition failed"
  case frameInPieces = "frame arrives in pieces"
  case damagedFrame = "damaged frame refused"
  case clientDied = "client died with calls under way"
  case largeEntry = "entry longer than a log write"
  case busy = "node too busy to take a request"
  case lockWaited = "lock granted to a waiter"
  case lockShared = "lock shared"
  case locksTogether = "several locks granted at once"
  case watchResumed = "watch goes on at another node"
  case watchCompacted = "watch ends because history is gone"
  case watchesToldTogether = "one event tells several watches"
  case watchReplayed = "watch begins in the past"
  case clientToldOfLoss = "client told that a lock may be lost"
  case lockLostWithSession = "lock freed by the end of a session"
  case staleTokenRefused = "write under an old token refused"
  case leaseEnded = "lease ended and its keys went"
  case transactionElse = "transaction took its other way"
  case outcomeExecuted = "outcome: executed"
  case outcomeBarred = "outcome: barred"
}

/// How often each mark was met.
struct CoverageCounts {
  private var counts: [CoverageMark: Int] = [:]

  mutating func meet(_ mark: CoverageMark) { counts[mark, default: 0] += 1 }

  mutating func add(_ other: CoverageCounts) { counts.merge(other.counts, uniquingKeysWith: +) }

  /// By name.
  var named: [String: Int] {
    Dictionary(uniqueKeysWithValues: counts.map { ($0.key.rawValue, $0.value) })
  }
}
