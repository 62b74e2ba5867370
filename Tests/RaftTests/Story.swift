import RoostRaft
import RoostWire

/// Tells effects as lines that a person can follow.
enum Story {
  static func lines(_ effects: Effects, of node: World.Node) -> [String] {
    guard let core = node.core else { return [] }
    var lines: [String] = []
    if effects.leaderChanged {
      let leader = core.leader == .zero ? "nobody" : "\(core.leader)"
      lines.append("\(node.id): \(core.role.rawValue) in term \(core.term), leader \(leader)")
    }
    if effects.membershipChanged { lines.append("\(node.id): members \(text(core.membership))") }
    if !effects.write.isEmpty { lines.append("\(node.id): writes \(text(effects.write))") }
    if let commit = effects.commitIndex { lines.append("\(node.id): committed \(commit)") }
    for read in effects.readsReady {
      lines.append("\(node.id): read \(read.id) may be answered at \(read.index)")
    }
    for id in effects.readsFailed { lines.append("\(node.id): read \(id) failed") }
    for read in effects.snapshotReads {
      lines.append(
        "\(node.id): reads \(read.byteCount) of snapshot \(read.snapshot.mark.index)"
          + " from \(read.offset) for \(read.follower)"
      )
    }
    if effects.snapshotIsWanted { lines.append("\(node.id): wants a newer snapshot") }
    if let whole = effects.snapshotToCheck {
      lines.append("\(node.id): has all of snapshot \(whole.mark.index)")
    }
    if let loaded = effects.snapshotToLoad {
      lines.append("\(node.id): loads snapshot \(loaded.mark.index)")
    }
    for envelope in effects.messages {
      lines.append("\(node.id) -> \(envelope.recipient): \(text(envelope.message))")
    }
    return lines
  }

  static func text(_ write: Write) -> String {
    var parts: [String] = []
    if let restart = write.restart { parts.append("restart behind \(restart.mark.index)") }
    if let first = write.truncateFrom { parts.append("cut from \(first)") }
    if !write.entries.isEmpty { parts.append(text(write.entries)) }
    if let hardState = write.hardState {
      let vote = hardState.vote == .zero ? "no vote" : "vote for \(hardState.vote)"
      parts.append("term \(hardState.term) \(vote)")
    }
    return parts.joined(separator: ", ")
  }

  static func text(_ entries: [Entry]) -> String {
    entries.map { entry in
      let name =
        switch entry.kind {
        case .opening: "opening"
        case .requests: String(decoding: entry.payload, as: UTF8.self)
        case .membership: "members"
        }
      return "\(entry.index)/\(entry.term) \(name)"
    }.joined(separator: ", ")
  }

  static func text(_ position: LogPosition) -> String { "\(position.index)/\(position.term)" }

  /// Voters first, then what each member shall become.
  static func text(_ membership: Membership) -> String {
    let members = membership.members.map { member in
      let goal =
        switch (member.votes, member.goal) {
        case (true, .voter): ""
        case (false, .voter): "+"
        case (true, .learner): "-learner"
        case (false, .learner): " learner"
        case (_, .gone): "-"
        }
      return "\(member.id)\(goal)"
    }
    return "v\(membership.version) \(membership.phase) [\(members.joined(separator: " "))]"
  }

  static func text(_ message: Message) -> String {
    let term = "term \(message.term)"
    switch message.body {
    case .preVoteRequest(let request):
      return "\(term) pre-vote for term \(request.proposed)? last \(text(request.last))"
    case .preVoteReply(_, let granted): return "\(term) pre-vote \(granted ? "yes" : "no")"
    case .voteRequest(let request):
      return "\(term) vote? last \(text(request.last))\(request.isTransfer ? " by transfer" : "")"
    case .voteReply(let granted): return "\(term) vote \(granted ? "yes" : "no")"
    case .append(let request):
      let entries = request.entries.isEmpty ? "nothing" : text(request.entries)
      return "\(term) append \(entries) after \(text(request.previous)), commit \(request.commit)"
    case .heartbeat(let heartbeat): return "\(term) heartbeat, commit \(heartbeat.commit)"
    case .accepted(let acceptance):
      return "\(term) has \(acceptance.match), received \(acceptance.received)"
    case .rejected(let rejection):
      return "\(term) lacks \(rejection.previous), try \(text(rejection.hint))"
    case .newerTerm: return "\(term) is newer"
    case .readRequest(let ticket): return "\(term) read \(ticket.sequence)?"
    case .readReply(let ticket, let index): return "\(term) read \(ticket.sequence) at \(index)"
    case .readRefused(let ticket): return "\(term) read \(ticket.sequence) refused"
    case .campaignNow: return "\(term) campaign now"
    case .snapshotChunk(let chunk):
      let part = chunk.bytes.isEmpty ? "offer" : "\(chunk.bytes.count) from \(chunk.offset)"
      return
        "\(term) snapshot \(text(chunk.snapshot.mark.position)) of \(chunk.snapshot.byteCount): \(part)"
    case .snapshotReceived(let receipt):
      return "\(term) has \(receipt.byteCount) of snapshot \(receipt.index)"
    }
  }
}
