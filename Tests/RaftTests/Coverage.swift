import RoostRaft
import RoostWire

/// How often something happened in a ``World``.
struct Coverage {
  private(set) var counts: [Event: Int] = [:]

  enum Event: String, CaseIterable {
    case election, commit, truncation, rejection, newerTerm, localRead, failedRead
    case remoteRead, snapshotPart, snapshotInstall, resumedSnapshot, joint, settledAgain, transfer
  }

  mutating func see(_ core: Consensus, _ effects: Effects) {
    if effects.leaderChanged, core.isLeader { count(.election) }
    if effects.commitIndex != nil { count(.commit) }
    if effects.write.truncateFrom != nil { count(.truncation) }
    count(.failedRead, effects.readsFailed.count)
    count(core.isLeader ? .localRead : .remoteRead, effects.readsReady.count)
    count(.snapshotPart, effects.snapshotChunks.count)
    if effects.snapshotToLoad != nil { count(.snapshotInstall) }
    if effects.membershipChanged, core.isMembershipCommitted {
      count(core.membership.phase == .settled ? .settledAgain : .joint)
    }
    for envelope in effects.messages {
      switch envelope.message.body {
      case .rejected: count(.rejection)
      case .newerTerm: count(.newerTerm)
      case .campaignNow: count(.transfer)
      case .snapshotChunk(let chunk):
        if chunk.bytes.isEmpty, chunk.snapshot.mark.index == core.snapshot?.mark.index {
          count(.resumedSnapshot)
        }
      default: break
      }
    }
  }

  mutating func add(_ other: Coverage) {
    for event in Event.allCases { count(event, other.counts[event] ?? 0) }
  }

  private mutating func count(_ event: Event, _ times: Int = 1) {
    if times > 0 { counts[event, default: 0] += times }
  }
}
