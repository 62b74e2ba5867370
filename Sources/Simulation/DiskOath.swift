import RoostJournal
import RoostRaft
import RoostWire

/// What one node has on its disk for good, by what its shell was told, and whether it goes back on what it told others.
///
/// It follows the node's writes and messages. A vote, an acknowledgement or a leadership that the disk does not bear out is
/// found when it leaves the node, and not only when power is lost at the one bad moment; and at every start the
/// node must have, or know that it lost, what it once had.
struct DiskOath {
  /// A write that is under way, and what it makes true.
  private struct Step {
    let ticket: UInt64
    let hardState: HardState?
    let end: LogPosition
    /// As far as entries may be claimed once it is durable; cuts that were asked for later lower it.
    var claim: LogIndex
  }

  /// What is durable.
  private var hardState = HardState()
  private var last = LogPosition.start
  private var claimable = LogIndex.zero
  /// What was last written, durable or not.
  private var newest = HardState()
  private var underWay: [Step] = []
  /// The most that it acknowledged to the leader of a term.
  private var acknowledged = LogPosition.start

  init() {}

  /// Takes in what a start found; answers what is wrong about it.
  mutating func didStart(_ restored: Restored) -> String? {
    var end = restored.mark.position
    if let entry = restored.entries.last { end = max(end, entry.position) }
    // A newer snapshot says that what else was there is not committed.
    let known = restored.mark.index >= last.index ? last : max(end, restored.promised)
    let problem = judgeStart(restored.hardState, knowing: known)
    hardState = restored.hardState
    newest = restored.hardState
    last = max(end, restored.promised)
    claimable = end.index
    underWay = []
    // What it acknowledged and lost it knows by its promise alone. What is left may end with entries that a cut had taken
    // away, if that was lost too: then they are cut again.
    if restored.promised > end { acknowledged = .start }
    return problem
  }

  private func judgeStart(_ found: HardState, knowing end: LogPosition) -> String? {
    let keepsVote =
      found.term > hardState.term
      || found.term == hardState.term
        && (found.vote == hardState.vote || hardState.vote == .zero)
    guard keepsVote else {
      return """
        starts in term \(found.term) with a vote for \(found.vote), and had synced a vote for \
        \(hardState.vote) in term \(hardState.term)
        """
    }
    guard end >= last else {
      return "starts with a log that ends at \(end.story), and had synced one to \(last.story)"
    }
    return nil
  }

  /// Takes in what is handed to the disk, after which the log ends at `end`; answers what is wrong about it.
  mutating func willWrite(_ write: Write, in term: Term, endingAt end: LogPosition) -> String? {
    let before = newest
    newest = write.hardState ?? newest
    if newest.term < before.term { return "goes back to term \(newest.term)" }
    if newest.term == before.term, before.vote != .zero, newest.vote != before.vote {
      return "votes for \(newest.vote) in term \(term), in which it voted for \(before.vote)"
    }
    if let from = write.truncateFrom {
      if acknowledged.term == term, from <= acknowledged.index {
        return "cuts its log at \(from), and acknowledged \(acknowledged.index) in this term"
      }
      lowerClaims(to: from.previous)
    }
    if write.restart != nil { lowerClaims(to: .zero) }
    underWay.append(
      Step(
        ticket: write.ticket.rawValue,
        hardState: write.hardState,
        end: end,
        claim: write.entries.last?.index ?? write.restart?.mark.index
          ?? underWay.last?.claim ?? claimable
      )
    )
    return nil
  }

  private mutating func lowerClaims(to index: LogIndex) {
    claimable = min(claimable, index)
    for place in underWay.indices { underWay[place].claim = min(underWay[place].claim, index) }
  }

  /// Takes in that the node is told that writes are durable.
  mutating func didPersist(through ticket: UInt64) {
    while let step = underWay.first, step.ticket <= ticket {
      underWay.removeFirst()
      hardState = step.hardState ?? hardState
      last = step.end
      claimable = step.claim
    }
  }

  /// Takes in what the node says to another; answers what is wrong about it.
  mutating func willSend(_ message: Message, to recipient: NodeID) -> String? {
    switch message.body {
    case .accepted(let acceptance):
      guard acceptance.match <= claimable else {
        return "acknowledges \(acceptance.match), and has synced \(claimable)"
      }
      let index = acknowledged.term == message.term ? acknowledged.index : .zero
      acknowledged = LogPosition(term: message.term, index: max(index, acceptance.match))
    case .voteReply(granted: true):
      guard hardState == HardState(term: message.term, vote: recipient) else {
        return "votes for \(recipient) in term \(message.term), and has not synced that"
      }
    default: break
    }
    return nil
  }

  /// Whether a node may lead: its own vote is one of those that elected it.
  func judgeLeadership(of id: NodeID, in term: Term) -> String? {
    hardState == HardState(term: term, vote: id)
      ? nil : "leads in term \(term), and has not synced a vote for itself"
  }
}

extension LogIndex {
  fileprivate var previous: LogIndex { LogIndex(max(rawValue, 1) - 1) }
}
