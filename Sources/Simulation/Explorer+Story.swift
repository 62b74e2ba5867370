internal import RoostRaft
internal import RoostWire

// How a state came about, for people.

extension Explorer {
  /// One line an event, and what it changed in the node that it happened to.
  mutating func story(_ path: [UInt32]) -> [String] {
    let kept = (current, next)
    defer { (current, next) = kept }
    current.copy(start)
    var lines = model.prologue.isEmpty ? [] : ["before: \(summary(of: current))"]
    for (number, action) in path.enumerated() {
      let event = event(ExploredAction(rawValue: action))
      lines.append("\(number + 1). \(text(event))")
      var breach: String?
      let node = current.nodes[event.slot]
      _ = take(event, &breach)
      lines += changes(from: node, event)
      current.copy(next)
    }
    return lines
  }

  private mutating func event(_ action: ExploredAction) -> ExploredEvent {
    switch action.kind {
    case .move(let place):
      let (move, transition) = places.moves[place]
      let id = places.facts[Int(places.transitions[Int(transition)].node)].id
      return ExploredEvent(
        slot: Int(id.rawValue) - 1,
        transition: transition,
        price: move.price,
        action: action
      )
    case .delivery(let packet):
      return delivery(of: current.packets.firstIndex(of: packet) ?? 0)
    case .duplicate(let packet):
      return delivery(of: current.packets.firstIndex(of: packet) ?? 0, again: true)
    }
  }

  private func text(_ event: ExploredEvent) -> String {
    switch event.action.kind {
    case .move(let place):
      return ExplorationStory.text(places.moves[place].move, of: event.slot + 1, in: model)
    case .delivery(let packet):
      let packet = places.packets[Int(packet)]
      return "\(packet.sender) -> \(packet.recipient): \(ExplorationStory.text(packet.message))"
    case .duplicate(let packet):
      let packet = places.packets[Int(packet)]
      let text = ExplorationStory.text(packet.message)
      return "\(packet.sender) -> \(packet.recipient), and maybe again: \(text)"
    }
  }

  private func changes(from before: UInt32, _ event: ExploredEvent) -> [String] {
    let transition = places.transitions[Int(event.transition)]
    var lines: [String] = []
    if transition.node != before {
      lines.append("     \(ExplorationStory.text(places.nodes[Int(transition.node)]))")
    }
    let first = Int(transition.firstPacket)
    for place in first..<(first + Int(transition.packetCount)) {
      let packet = places.packets[Int(places.sent[place])]
      lines.append("     sends \(packet.recipient): \(ExplorationStory.text(packet.message))")
    }
    return lines
  }

  private func summary(of cluster: ExploredCluster) -> String {
    cluster.nodes.map { ExplorationStory.text(places.nodes[Int($0)]) }.joined(separator: "; ")
  }
}

/// Words for what a search meets.
enum ExplorationStory {
  static func text(_ move: ExploredMove, of id: Int, in model: ExplorationModel) -> String {
    switch move {
    case .sync: "\(id)'s oldest write is on its disk"
    case .crash(let writes, let part):
      "\(id) crashes and starts again; "
        + (part.map { "its disk got \(writes) more writes and \($0) entries of the next" }
          ?? "its disk got \(writes) more writes")
    case .damage(let last): "\(id) starts again; its log is damaged behind \(last)"
    case .loseJournal: "\(id) starts again with an empty disk"
    case .timeout: "\(id)'s election timer runs out"
    case .heartbeat: "\(id) asks whether it still leads"
    case .propose: "\(id) is given a request"
    case .stepDown: "\(id) gives up"
    case .read(let read): "\(id) is asked for read \(read)"
    case .askAgain: "\(id) asks its leader again"
    case .change(let number):
      "\(id) is asked for voters \(model.changes[number].voters), "
        + "learners \(model.changes[number].learners)"
    case .transfer(let heir): "\(id) is asked to hand over to \(heir)"
    case .snapshot: "\(id) saves a snapshot"
    case .snapshotChecked: "\(id) has checked the snapshot that came"
    }
  }

  static func text(_ node: ExploredNode) -> String {
    let core = node.core
    var parts = ["\(core.id) is \(core.role.rawValue) in term \(core.term)"]
    if core.vote > .zero { parts.append("vote \(core.vote)") }
    parts.append("log \(text(core)), committed \(core.commitIndex)")
    if !node.writes.isEmpty {
      parts.append("to be written: " + node.writes.map { text($0) }.joined(separator: ", then "))
    }
    return parts.joined(separator: ", ")
  }

  private static func text(_ core: Consensus) -> String {
    var entries: [Entry] = []
    var index = core.firstIndex
    while let entry = core.entry(at: index) {
      entries.append(entry)
      index = LogIndex(index.rawValue + 1)
    }
    let start = core.firstIndex > LogIndex(1) ? "snapshot \(core.firstIndex.rawValue - 1) " : ""
    return "[\(start)\(text(entries))]"
  }

  /// An entry is its index and term, and a sign for its kind.
  static func text(_ entries: [Entry]) -> String {
    entries.map { entry in
      let sign =
        switch entry.kind {
        case .opening: ""
        case .requests: "r"
        case .membership: "m" + (entry.membership.map { text($0) } ?? "")
        }
      return "\(entry.index)/\(entry.term)\(sign)"
    }.joined(separator: " ")
  }

  /// Voters and goals, as `{1 2 3-}`: 3 leaves.
  private static func text(_ membership: Membership) -> String {
    let members = membership.members.map { member in
      let sign =
        switch (member.votes, member.goal) {
        case (true, .voter): ""
        case (false, .voter): "+"
        case (true, _): "-"
        case (false, _): "l"
        }
      return "\(member.id)\(sign)"
    }
    let phase = membership.phase == .joint ? " joint" : ""
    return "{\(members.joined(separator: " "))\(phase)}"
  }

  private static func text(_ write: PendingWrite) -> String {
    var parts: [String] = []
    if let restart = write.restart { parts.append("restart behind \(restart.mark.index)") }
    if let first = write.truncateFrom { parts.append("cut from \(first)") }
    if !write.entries.isEmpty { parts.append(text(write.entries)) }
    if let state = write.hardState { parts.append("term \(state.term) vote \(state.vote)") }
    return parts.joined(separator: " ")
  }

  static func text(_ message: Message) -> String {
    "\(text(message.body)) (term \(message.term))"
  }

  private static func text(_ position: LogPosition) -> String {
    "\(position.index)/\(position.term)"
  }

  private static func text(_ body: Message.Body) -> String {
    switch body {
    case .preVoteRequest(let request): "pre-vote, last \(text(request.last))?"
    case .preVoteReply(_, let granted): "pre-vote \(granted ? "yes" : "no")"
    case .voteRequest(let request):
      "vote, last \(text(request.last))\(request.isTransfer ? ", by transfer" : "")?"
    case .voteReply(let granted): "vote \(granted ? "yes" : "no")"
    case .append(let request):
      "append [\(text(request.entries))] after \(text(request.previous)), commit \(request.commit)"
    case .heartbeat(let beat): "heartbeat, commit \(beat.commit), round \(shortened(beat.round))"
    case .accepted(let acceptance):
      "has \(acceptance.match), received \(acceptance.received), "
        + "round \(shortened(acceptance.round))"
    case .rejected(let rejection): "lacks \(rejection.previous), try \(text(rejection.hint))"
    case .newerTerm: "my term is newer"
    case .readRequest(let ticket): "read \(ticket.sequence)?"
    case .readReply(let ticket, let index): "read \(ticket.sequence) at \(index)"
    case .readRefused(let ticket): "read \(ticket.sequence) refused"
    case .campaignNow: "campaign now"
    case .snapshotChunk(let chunk):
      "snapshot \(text(chunk.snapshot.mark.position)), \(chunk.bytes.count) bytes"
    case .snapshotReceived(let receipt): "has \(receipt.byteCount) of the snapshot"
    }
  }

  /// Rounds begin at the one moment of the search.
  private static func shortened(_ round: UInt64) -> UInt64 {
    let origin = ExplorationModel.moment.nanoseconds
    return round >= origin ? round - origin + 1 : round
  }
}
