import RoostRaft
import RoostReplica
import RoostWire

/// The network between members: packets of the protocol, and links for what is handed on.
extension SimulatedCluster {
  // MARK: Sending

  func route(_ envelope: Envelope, from node: SimulatedNode, _ life: NodeLife) {
    guard let link = life.links.first(where: { $0.to + 1 == Int(envelope.recipient.rawValue) }),
      link.pipe != nil
    else { return }
    report.packetCount += 1
    var frame: [UInt8] = []
    frame.appendFrame(.consensus, correlation: 0) { envelope.message.encode(into: &$0) }
    let fate = network.send(from: link.from, to: link.to, at: now)
    tell(
      "node \(node.id)",
      "to \(envelope.recipient): \(envelope.message.story)\(fate.arrivals.isEmpty ? " (lost)" : "")"
    )
    record(
      "send",
      node,
      "\"to\":\(envelope.recipient),\"copies\":\(fate.arrivals.count),\(envelope.message.fields)"
    )
    note(envelope.message, isLost: fate.arrivals.isEmpty)
    if fate.arrivals.count > 1 { meet(.packetRepeated) }
    if fate.isSpoilt { network.flipBit(in: &frame) }
    for time in fate.arrivals {
      queue.add(.packet(from: link.from, to: link.to, bytes: frame), at: time)
    }
  }

  func route(_ forward: Forward, from node: SimulatedNode, _ life: NodeLife) {
    let kind: FrameKind = forward.isReply ? .forwardReply : .forward
    let link = life.links.first { $0.to + 1 == Int(forward.ticket.member.rawValue) }
    guard let link, let pipe = link.pipe else {
      if !forward.isReply, plan.flaw != .shell(.lostLinkNotTold) {
        meet(.handedOnAndLost)
        life.replica.lostLink(to: forward.ticket.member, into: &life.effects)
      }
      return
    }
    if forward.isReply, plan.flaw == .shell(.handedOnRepliesDropped) { return }
    meet(.handedOn)
    var frame: [UInt8] = []
    frame.appendFrame(kind, correlation: forward.ticket.correlation) { $0 += forward.bytes }
    if !forward.isReply, plan.flaw == .shell(.handedOnTwice) {
      let other = RequestForgery.renamed(forward.bytes)
      frame.appendFrame(kind, correlation: forward.ticket.correlation) { $0 += other }
    }
    tell(
      "node \(node.id)",
      "hands \(forward.isReply ? "a reply" : "a request") on to \(forward.ticket.member)"
    )
    push(frame, into: pipe)
  }

  /// Reaches the other side's socket, if there is a way and somebody listens.
  func arrive(_ bytes: [UInt8], from: Int, to: Int) {
    let node = nodes[to]
    guard !network.isShut(from: from, to: to), let life = node.life else { return }
    if let link = nodes[from].life?.links.first(where: { $0.to == to }), link.pipe != nil,
      link.reachedLife != life.number
    {
      meet(.packetFromOldLife)
    }
    life.inbox.append(.packet(from: NodeID(UInt64(from + 1)), bytes: bytes))
    wake(node)
  }

  // MARK: Links

  func keepLinks(_ node: SimulatedNode, _ life: NodeLife) {
    for link in life.links where link.pipe == nil && !link.isDialling && now >= link.nextAttempt {
      link.isDialling = true
      queue.add(.dialled(link), at: now + network.draw(200_000...2_000_000))
    }
  }

  func finishDialling(_ link: PeerLink) {
    link.isDialling = false
    let node = nodes[link.from]
    guard let life = node.life, life.number == link.life else { return }
    let isReached =
      !network.isShut(from: link.from, to: link.to) && !network.isShut(from: link.to, to: link.from)
    if isReached, let other = nodes[link.to].life, now >= nodes[link.to].pausedUntil {
      link.pipe = Pipe(from: link.from, to: link.to, reader: .member(link))
      link.reachedLife = other.number
      link.failures = 0
      link.partial = []
    } else {
      didFail(link)
    }
    scheduleTurn(node, at: now)
  }

  private func didFail(_ link: PeerLink) {
    link.failures = min(link.failures + 1, 5)
    link.nextAttempt = now + 25_000_000 << link.failures
    if plan.flaw == .shell(.linkNotRedialled) { link.nextAttempt = .max }
  }

  /// One side of a link learns that it is broken.
  func linkIsBroken(_ link: PeerLink) {
    guard let pipe = link.pipe, let life = nodes[link.from].life, life.number == link.life else {
      return
    }
    pipe.isOpen = false
    link.pipe = nil
    didFail(link)
    if plan.flaw != .shell(.lostLinkNotTold) {
      life.inbox.append(.lostLink(NodeID(UInt64(link.to + 1))))
    }
    wake(nodes[link.from])
  }

  func breakLinks(to node: SimulatedNode) {
    for other in nodes where other.number != node.number {
      guard let life = other.life else { continue }
      for link in life.links where link.to == node.number && link.pipe != nil {
        queue.add(.linkBroken(link), at: now + network.draw(50_000...3_000_000))
      }
    }
  }

  // MARK: Byte streams

  func push(_ bytes: [UInt8], into pipe: Pipe) {
    guard pipe.isOpen, !bytes.isEmpty else { return }
    pipe.add(bytes)
    guard !pipe.isMoving else { return }
    pipe.isMoving = true
    queue.add(.pipe(pipe), at: now + network.streamDelay(from: pipe.from, to: pipe.to))
  }

  /// The front of a stream reaches the other side, or is sent again.
  func move(_ pipe: Pipe) {
    pipe.isMoving = false
    guard pipe.isOpen, pipe.byteCount > 0 else { return }
    guard !network.isShut(from: pipe.from, to: pipe.to) else {
      if network.chance(1, in: 12) { return breakOff(pipe) }
      pipe.isMoving = true
      queue.add(.pipe(pipe), at: now + network.draw(100_000_000...400_000_000))
      return
    }
    var piece = pipe.take(network.firstPiece(of: pipe.byteCount))
    if network.spoilsChunk() {
      network.flipBit(in: &piece)
      // A length that grew hides the damage until so much has come: sooner or later somebody resets the connection.
      queue.add(.broken(pipe), at: now + network.draw(10_000_000...2_000_000_000))
    }
    deliver(piece, through: pipe)
    guard pipe.isOpen, pipe.byteCount > 0, !pipe.isMoving else { return }
    pipe.isMoving = true
    queue.add(.pipe(pipe), at: now + network.streamDelay(from: pipe.from, to: pipe.to))
  }

  private func deliver(_ bytes: [UInt8], through pipe: Pipe) {
    switch pipe.reader {
    case .member(let link):
      let node = nodes[link.to]
      guard let life = node.life, life.number == link.reachedLife else {
        // A machine without power says nothing; one that is up again knows nothing of the connection.
        if node.life != nil { linkIsBroken(link) } else { retryLater(bytes, pipe) }
        return
      }
      life.inbox.append(.stream(link, bytes))
      wake(node)
    case .node(let connection):
      let node = nodes[connection.node]
      guard let life = node.life, life.number == connection.life, connection.isOpenAtNode else {
        if node.life != nil { isBrokenAtClient(connection) } else { retryLater(bytes, pipe) }
        return
      }
      life.inbox.append(.bytes(connection, bytes))
      wake(node)
    case .client(let connection): receive(bytes, on: connection)
    }
  }

  /// Nobody answers: the sender's system repeats what was sent for a while.
  private func retryLater(_ bytes: [UInt8], _ pipe: Pipe) {
    pipe.isMoving = true
    pipe.putBack(bytes)
    queue.add(.pipe(pipe), at: now + network.draw(100_000_000...400_000_000))
  }

  func breakOff(_ pipe: Pipe) {
    guard pipe.isOpen else { return }
    switch pipe.reader {
    case .member(let link): linkIsBroken(link)
    case .node(let connection), .client(let connection):
      isBrokenAtNode(connection)
      isBrokenAtClient(connection)
    }
  }
}

extension Message {
  /// What the message says, for stories.
  var story: String {
    let what =
      switch body {
      case .preVoteRequest(let request):
        "would you vote for me in term \(request.proposed)? my log ends at \(request.last.story)"
      case .preVoteReply(_, let granted):
        granted ? "I would vote for you" : "I would not vote for you"
      case .voteRequest(let request): "vote for me; my log ends at \(request.last.story)"
      case .voteReply(let granted): granted ? "you have my vote" : "you do not have my vote"
      case .append(let request):
        "after \(request.previous.story) come \(request.entries.count) entries; commit \(request.commit)"
      case .heartbeat(let heartbeat): "I lead; commit \(heartbeat.commit), round \(heartbeat.round)"
      case .accepted(let acceptance):
        "I have \(acceptance.match), round \(acceptance.round)"
      case .rejected(let rejection):
        "I lack \(rejection.previous); perhaps \(rejection.hint.story) fits"
      case .newerTerm: "your term is over"
      case .readRequest: "what is the read index?"
      case .readReply(_, let index): "the read index is \(index)"
      case .readRefused: "I can't tell the read index"
      case .campaignNow: "campaign now"
      case .snapshotChunk(let chunk):
        "snapshot at \(chunk.snapshot.mark.index), \(chunk.bytes.count) bytes from \(chunk.offset)"
      case .snapshotReceived(let receipt):
        "of snapshot at \(receipt.index) I have \(receipt.byteCount) bytes"
      }
    return "[term \(term)] \(what)"
  }
}

extension LogPosition {
  var story: String { "\(index)/\(term)" }
}
