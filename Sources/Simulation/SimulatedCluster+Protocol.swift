import RoostRaft
import RoostReplica
import RoostWire

/// Steps of the protocol as lines of JSON, for a checker outside.
extension SimulatedCluster {
  /// Writes a line, if anybody reads; each begins with the moment, the node and what happened to it.
  func record(_ step: String, _ node: SimulatedNode, _ fields: @autoclosure () -> String = "") {
    guard let recorder else { return }
    let rest = fields()
    recorder(
      "{\"at\":\(now),\"node\":\(node.number + 1),\"step\":\"\(step)\""
        + (rest.isEmpty ? "" : "," + rest) + "}"
    )
  }

  /// Writes what a node is like, if that has changed.
  func recordState(_ node: SimulatedNode, _ life: NodeLife) {
    guard recorder != nil else { return }
    let state = life.look { replica in
      let core = replica.consensus
      return """
        "term":\(core.term),"role":"\(core.role)","vote":\(core.vote),"leader":\(core.leader),\
        "first":\(core.firstIndex),"last":\(core.lastIndex),"lastTerm":\(core.lastPosition.term),\
        "commit":\(core.commitIndex),"applied":\(replica.applied),\
        "voters":[\(core.membership.members.filter { core.membership.isVoter($0.id) }
          .map { "\($0.id)" }.joined(separator: ","))],"phase":"\(core.membership.phase)"
        """
    }
    guard state != life.recorded else { return }
    life.recorded = state
    record("state", node, state)
  }
}

extension Write {
  /// As fields of a line.
  var fields: String {
    var fields = ["\"ticket\":\(ticket)"]
    if let hardState {
      fields.append("\"term\":\(hardState.term),\"vote\":\(hardState.vote)")
    }
    if let restart { fields.append("\"after\":\(restart.mark.index)") }
    if let truncateFrom { fields.append("\"cutFrom\":\(truncateFrom)") }
    fields.append("\"entries\":[\(entries.positions)]")
    return fields.joined(separator: ",")
  }
}

extension [Entry] {
  /// Index and term of each.
  fileprivate var positions: String {
    map { "[\($0.index),\($0.term)]" }.joined(separator: ",")
  }
}

extension Message {
  /// As fields of a line.
  var fields: String {
    let rest =
      switch body {
      case .preVoteRequest(let request):
        named("preVoteRequest", ("proposed", "\(request.proposed)"), ("last", request.last.pair))
      case .preVoteReply(let proposed, let granted):
        named("preVoteReply", ("proposed", "\(proposed)"), ("granted", "\(granted)"))
      case .voteRequest(let request): named("voteRequest", ("last", request.last.pair))
      case .voteReply(let granted): named("voteReply", ("granted", "\(granted)"))
      case .append(let request):
        named(
          "append",
          ("previous", request.previous.pair),
          ("commit", "\(request.commit)"),
          ("entries", "[\(request.entries.positions)]")
        )
      case .heartbeat(let heartbeat):
        named("heartbeat", ("commit", "\(heartbeat.commit)"), ("round", "\(heartbeat.round)"))
      case .accepted(let acceptance):
        named("accepted", ("match", "\(acceptance.match)"), ("round", "\(acceptance.round)"))
      case .rejected(let rejection):
        named("rejected", ("previous", "\(rejection.previous)"), ("hint", rejection.hint.pair))
      case .newerTerm: named("newerTerm")
      case .readRequest(let id): named("readRequest", ("read", id.pair))
      case .readReply(let id, let index):
        named("readReply", ("read", id.pair), ("index", "\(index)"))
      case .readRefused(let id): named("readRefused", ("read", id.pair))
      case .campaignNow: named("campaignNow")
      case .snapshotChunk(let chunk):
        named(
          "snapshotChunk",
          ("index", "\(chunk.snapshot.mark.index)"),
          ("offset", "\(chunk.offset)"),
          ("bytes", "\(chunk.bytes.count)")
        )
      case .snapshotReceived(let receipt):
        named("snapshotReceived", ("index", "\(receipt.index)"), ("bytes", "\(receipt.byteCount)"))
      }
    return "\"term\":\(term),\"incarnation\":\(incarnation),\(rest)"
  }

  private func named(_ kind: String, _ fields: (name: String, value: String)...) -> String {
    "\"message\":\"\(kind)\"" + fields.map { ",\"\($0.name)\":\($0.value)" }.joined()
  }
}

extension ReadTicket {
  fileprivate var pair: String { "[\(boot),\(sequence)]" }
}

extension LogPosition {
  fileprivate var pair: String { "[\(index),\(term)]" }
}
