internal import RoostPlatform
internal import RoostRaft
internal import RoostReplica
internal import RoostWire

/// Frames: what comes in is handed to the replica, and what the replica says is put into frames.
extension Shell {
  /// Hands on one frame; `body` is where it was received and is gone after the call.
  func handle(
    _ header: FrameHeader,
    _ body: borrowing Span<UInt8>,
    from connection: Connection
  ) throws(WireError) {
    let asker = ClientTicket(connection: connection.token, correlation: header.correlation)
    switch (connection.peer, header.kind) {
    case (.client, .request):
      noteSession(of: body, on: connection)
      replica.request(body, from: asker, now: now, into: &effects)
    case (.client, .query):
      replica.query(body, from: asker, now: now, into: &effects)
    case (.client, .watch):
      connection.watches = true
      replica.watch(body, from: asker, into: &effects)
    case (.client, .cancelWatch):
      replica.cancelWatch(body, from: asker, into: &effects)
    case (.client, .admin):
      if let failure = refusal(ofAdmin: body) {
        return effects.reply(failure, to: asker)
      }
      replica.admin(body, from: asker, now: now, into: &effects)
    case (.client, .status):
      guard body.isEmpty else { throw .trailing(byteCount: body.count) }
      answerStatus(header.correlation, on: connection)
    case (.member(let member), .consensus):
      var input = body.extracting(...)
      let message = try Message(decoding: &input)
      try input.expectEnd()
      replica.receive(message, from: member, now: now)
    case (.member(let member), .forward):
      let ticket = ForwardTicket(member: member, correlation: header.correlation)
      replica.receiveForward(body, from: ticket, now: now, into: &effects)
    case (.member(let member), .forwardAdmin):
      let ticket = ForwardTicket(member: member, correlation: header.correlation)
      replica.receiveForwardAdmin(body, from: ticket, now: now, into: &effects)
    case (.member(let member), .forwardReply):
      let ticket = ForwardTicket(member: member, correlation: header.correlation)
      replica.receiveForwardReply(body, for: ticket, into: &effects)
    default:
      throw .invalid("frame kind on this connection")
    }
  }

  private func answerStatus(_ correlation: UInt64, on connection: Connection) {
    let status = self.status()
    connection.stream.append { output in
      output.appendFrame(.reply, correlation: correlation) { status.encode(into: &$0) }
    }
    markDirty(connection)
  }

  /// How this node is, at this moment.
  func status() -> NodeStatus {
    var status = replica.status(now: now)
    status.cluster = ClusterID(configuration.cluster)
    status.upNanoseconds = now.nanoseconds(since: startedAt)
    status.journal = journal.backEnd
    for (field, value) in counters { status[field] = value }
    status[.watches] = UInt64(replica.watchCount)
    status[.connections] = UInt64(connections.count)
    status[.clientConnections] = UInt64(connections.values.count { $0.peer == .client })
    status[.waitingBytes] = connections.values.reduce(0) { $0 + UInt64($1.stream.waitingByteCount) }
    return status
  }

  // MARK: What the replica says

  func route(_ messages: [Envelope]) {
    for envelope in messages {
      guard let connection = openConnection(to: envelope.recipient) else { continue }
      // A member that does not read is not waited for: the protocol repeats what matters.
      guard connection.stream.waitingByteCount <= configuration.limits.outboxBytes * 2 else {
        continue
      }
      connection.stream.append { output in
        output.appendFrame(.consensus, correlation: 0) { envelope.message.encode(into: &$0) }
      }
      markDirty(connection)
    }
  }

  func routeForwards() {
    for forward in effects.forwards {
      let kind: FrameKind =
        forward.isReply ? .forwardReply : forward.isAdmin ? .forwardAdmin : .forward
      guard let connection = openConnection(to: forward.ticket.member) else {
        if !forward.isReply { replica.didNotForward(forward.ticket, into: &effects) }
        continue
      }
      connection.stream.append { output in
        output.appendFrame(kind, correlation: forward.ticket.correlation) { $0 += forward.bytes }
      }
      markDirty(connection)
    }
    effects.forwards.removeAll(keepingCapacity: true)
  }

  func routeReplies() {
    // Replies to one connection mostly follow each other, as its requests did.
    var last: Connection?
    for reply in effects.replies {
      if last?.token != reply.ticket.connection { last = connections[reply.ticket.connection] }
      guard let connection = last else { continue }
      let bytes = effects.replyBytes.span.extracting(reply.range)
      connection.stream.append { output in
        let start = output.beginFrame(.reply, correlation: reply.ticket.correlation)
        output.append(contentsOf: bytes)
        output.endFrame(startedAt: start)
      }
      markDirty(connection)
    }
    effects.replies.removeAll(keepingCapacity: true)
    effects.replyBytes.removeAll(keepingCapacity: true)
  }

  /// Tells the operator what changed: who leads, in which term.
  func reportChanges() {
    for change in effects.changes { log(.info, "\(change)") }
    effects.changes.removeAll(keepingCapacity: true)
  }
}
