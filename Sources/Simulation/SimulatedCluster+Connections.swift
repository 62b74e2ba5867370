import RoostRaft
import RoostReplica
import RoostWire

/// What reaches a node: frames of members, bytes of clients; as `Shell` takes them apart.
extension SimulatedCluster {
  func takeArrivals(_ node: SimulatedNode, _ life: NodeLife, _ local: Instant) {
    let arrivals = life.inbox
    life.inbox.removeAll(keepingCapacity: true)
    for arrival in arrivals {
      switch arrival {
      case .packet(let member, let bytes):
        takePacket(bytes, of: member, at: node, life, local)
      case .stream(let link, let bytes):
        takePiece(bytes, of: link, at: node, life, local)
      case .bytes(let connection, let bytes):
        guard life.connections[connection.token] != nil else { continue }
        do throws(WireError) {
          try handle(bytes, on: connection, node, life, local)
        } catch {
          tell("node \(node.id)", "drops client \(connection.client + 1): \(error)")
          forget(connection, life)
          breakOff(connection, tellsClient: true)
        }
      case .closed(let connection): forget(connection, life)
      case .lostLink(let member): life.replica.lostLink(to: member, into: &life.effects)
      }
    }
  }

  // MARK: Members

  private func takePacket(
    _ bytes: [UInt8],
    of member: NodeID,
    at node: SimulatedNode,
    _ life: NodeLife,
    _ local: Instant
  ) {
    do throws(WireError) {
      var input = bytes.span
      let header = try FrameHeader.next(in: &input, bodyLimit: FrameHeader.bodyLimit)
      guard header?.bodyByteCount == input.count else { throw .invalid("packet") }
      let message = try Message(decoding: &input)
      try input.expectEnd()
      record("receive", node, "\"from\":\(member),\(message.fields)")
      life.replica.receive(message, from: member, now: local)
    } catch {
      drop(from: Int(member.rawValue) - 1, at: node, because: error)
    }
  }

  private func takePiece(
    _ bytes: [UInt8],
    of link: PeerLink,
    at node: SimulatedNode,
    _ life: NodeLife,
    _ local: Instant
  ) {
    let whole = link.partial + bytes
    link.partial = []
    var input = whole.span
    do throws(WireError) {
      while let header = try FrameHeader.next(in: &input, bodyLimit: FrameHeader.bodyLimit) {
        let body = input.extracting(first: header.bodyByteCount)
        input = input.extracting(droppingFirst: header.bodyByteCount)
        let member = NodeID(UInt64(link.from + 1))
        let ticket = ForwardTicket(member: member, correlation: header.correlation)
        switch header.kind {
        case .forward:
          life.replica.receiveForward(body, from: ticket, now: local, into: &life.effects)
        case .forwardReply:
          life.replica.receiveForwardReply(body, for: ticket, into: &life.effects)
        default: throw .invalid("frame kind")
        }
      }
      link.partial = input.copied()
    } catch {
      drop(from: link.from, at: node, because: error)
    }
  }

  /// What comes from a member can't be trusted any more: its connection ends, and it dials again.
  private func drop(from sender: Int, at node: SimulatedNode, because error: WireError) {
    tell("node \(node.id)", "drops the connection of node \(sender + 1): \(error)")
    meet(.damagedFrame)
    guard let life = nodes[sender].life else { return }
    for link in life.links where link.to == node.number && link.pipe != nil {
      link.pipe?.isOpen = false
      queue.add(.linkBroken(link), at: now + network.draw(50_000...3_000_000))
    }
  }

  // MARK: Clients

  private func handle(
    _ bytes: [UInt8],
    on connection: ClientConnection,
    _ node: SimulatedNode,
    _ life: NodeLife,
    _ local: Instant
  ) throws(WireError) {
    let whole = connection.partial + bytes
    connection.partial = []
    var input = whole.span
    if !connection.isGreeted {
      guard input.count >= Hello.byteCount else {
        connection.partial = whole
        return
      }
      let hello = try Hello(decoding: &input)
      guard hello.role == .client else { throw .invalid("role") }
      greet(connection, node, life, local)
    }
    let limit = Request.byteLimit + 64
    while let header = try FrameHeader.next(in: &input, bodyLimit: limit) {
      let body = input.extracting(first: header.bodyByteCount)
      input = input.extracting(droppingFirst: header.bodyByteCount)
      let asker = ClientTicket(connection: connection.token, correlation: header.correlation)
      if header.kind != .status { owe(header, body, on: connection) }
      switch header.kind {
      case .request:
        noteSession(of: body, on: connection, life)
        life.replica.request(body, from: asker, now: local, into: &life.effects)
      case .watch:
        connection.watches = true
        if (try? WatchRequest(decodingAll: body.copied()))?.isResumed == true {
          meet(.watchResumed)
        }
        life.replica.watch(body, from: asker, into: &life.effects)
      case .cancelWatch: life.replica.cancelWatch(body, from: asker, into: &life.effects)
      case .query:
        var bytes = body.copied()
        if plan.flaw == .shell(.readsNotConfirmed), let level = bytes.first, level < 2 {
          bytes[0] = ReadLevel.serializable.rawValue
        }
        life.replica.query(bytes.span, from: asker, now: local, into: &life.effects)
      case .status: answerStatus(header.correlation, connection, life, local)
      default: throw .invalid("frame kind on this connection")
      }
    }
    connection.partial = input.copied()
    if !input.isEmpty { meet(.frameInPieces) }
  }

  /// Writes down that the node owes an answer; one to a confirmed read shows all that anybody has applied by now.
  private func owe(
    _ header: FrameHeader,
    _ body: borrowing Span<UInt8>,
    on connection: ClientConnection
  ) {
    let isConfirmed =
      header.kind == .query && !body.isEmpty && body[0] <= ReadLevel.lease.rawValue
    let index = isConfirmed ? LogIndex(UInt64(judge.entries.count)) : .zero
    connection.owed[header.correlation] = index
  }

  private func judgeAnswer(
    _ ticket: ClientTicket,
    _ reply: ArraySlice<UInt8>,
    on connection: ClientConnection,
    _ life: NodeLife
  ) {
    guard let least = connection.owed.removeValue(forKey: ticket.correlation),
      reply.prefix(2).elementsEqual([0, 0])
    else { return }
    let applied = life.look { $0.applied }
    guard applied < least else { return }
    let text = "has applied \(applied), and \(least) was committed when it was asked"
    breach("stale", "node \(connection.node + 1) answers client \(connection.client + 1), \(text)")
  }

  private func greet(
    _ connection: ClientConnection,
    _ node: SimulatedNode,
    _ life: NodeLife,
    _ local: Instant
  ) {
    connection.isGreeted = true
    let reply = HelloReply(
      verdict: .accepted,
      cluster: Self.cluster,
      node: node.id,
      leader: life.replica.leader,
      clusterTime: life.replica.clusterTime(now: local)
    )
    reply.encode(into: &connection.outbox)
    markDirty(connection, of: life)
  }

  private func answerStatus(
    _ correlation: UInt64,
    _ connection: ClientConnection,
    _ life: NodeLife,
    _ local: Instant
  ) {
    let status = life.replica.status(now: local)
    connection.outbox.appendFrame(.reply, correlation: correlation) { status.encode(into: &$0) }
    markDirty(connection, of: life)
  }

  func markDirty(_ connection: ClientConnection, of life: NodeLife) {
    if !life.dirty.contains(where: { $0 === connection }) { life.dirty.append(connection) }
  }

  /// Puts a reply where it waits for the end of the turn.
  func put(_ reply: ReplyPlace, of life: NodeLife, as ticket: ClientTicket) {
    guard let connection = life.connections[ticket.connection] else { return }
    judgeAnswer(ticket, life.effects.replyBytes[reply.range], on: connection, life)
    let code = life.effects.replyBytes[reply.range].prefix(2)
    if code.elementsEqual([UInt8(ErrorCode.busy.rawValue), 0]) { meet(.busy) }
    connection.outbox.appendFrame(.reply, correlation: ticket.correlation) { output in
      output += life.effects.replyBytes[reply.range]
    }
    markDirty(connection, of: life)
  }

  func flush(_ life: NodeLife) {
    for connection in life.dirty {
      if let pipe = connection.downward { push(connection.outbox, into: pipe) }
      connection.outbox = []
    }
    life.dirty.removeAll(keepingCapacity: true)
  }
}
