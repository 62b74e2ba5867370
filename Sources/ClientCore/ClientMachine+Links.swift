package import RoostWire

/// Links: how they come up, bring bytes and break.
extension ClientMachine {
  /// The connection is made; the greeting goes out.
  package mutating func didConnect(
    _ link: LinkID,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let index = endpoint(of: link) else { return }
    endpoints[index].state = .greeting(since: now)
    endpoints[index].lastHeard = now
    effects.send(on: link) { Hello(role: .client, cluster: .zero).encode(into: &$0) }
  }

  /// The link could not be made, or broke.
  package mutating func didBreak(
    _ link: LinkID,
    because reason: String,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let index = endpoint(of: link) else { return }
    fail(index, because: reason, now: now, into: &effects)
    advance(now: now, into: &effects)
  }

  /// Bytes came in on a link.
  package mutating func didReceive(
    _ bytes: borrowing Span<UInt8>,
    on link: LinkID,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard let index = endpoint(of: link) else { return }
    endpoints[index].lastHeard = now
    endpoints[index].askedForSign = false
    do throws(WireError) {
      if endpoints[index].partial.isEmpty {
        var input = bytes.extracting(...)
        try digest(&input, on: link, from: index, now: now, into: &effects)
      } else {
        var whole = endpoints[index].partial
        endpoints[index].partial = []
        whole.append(contentsOf: bytes)
        var input = whole.span
        try digest(&input, on: link, from: index, now: now, into: &effects)
      }
    } catch {
      effects.closes.append(link)
      let reason = "it does not speak the protocol: \(error)"
      fail(index, because: reason, now: now, into: &effects)
    }
    advance(now: now, into: &effects)
  }

  private func endpoint(of link: LinkID) -> Int? { endpoints.firstIndex { $0.link == link } }

  /// Takes in whole frames, and keeps the beginning of one that is not.
  private mutating func digest(
    _ input: inout Span<UInt8>,
    on link: LinkID,
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) throws(WireError) {
    if case .greeting = endpoints[index].state, input.count >= HelloReply.byteCount {
      try greet(HelloReply(decoding: &input), from: index, now: now, into: &effects)
    }
    let limit = FrameHeader.bodyLimit
    while endpoints[index].isOpen,
      let header = try FrameHeader.next(in: &input, bodyLimit: limit)
    {
      let body = try input.readBytes(header.bodyByteCount)
      switch header.kind {
      case .reply: try didReply(header.correlation, body, from: index, now: now, into: &effects)
      case .event:
        let event = try Event(decodingAll: body)
        didHear(event, of: header.correlation, now: now, into: &effects)
      default: throw .invalid("frame kind")
      }
    }
    if endpoints[index].link == link, !input.isEmpty { endpoints[index].partial = input.copied() }
  }

  private mutating func didReply(
    _ correlation: UInt64,
    _ body: [UInt8],
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) throws(WireError) {
    if correlation == 0 {
      checkSign(body, from: index, into: &effects)
    } else if correlation & Self.watchMark != 0 {
      let number = correlation & ~Self.watchMark
      try didAnswerWatch(number, body, from: index, now: now, into: &effects)
    } else {
      didAnswer(CallID(correlation), body, from: index, now: now, into: &effects)
    }
  }

  /// A node that has heard of no leader for long knows nothing new: its watches go on elsewhere.
  private mutating func checkSign(
    _ body: [UInt8],
    from index: Int,
    into effects: inout ClientEffects
  ) {
    guard endpoints[index].listenerCount > 0, endpoints.count > 1,
      let status = try? NodeStatus(decodingAll: body),
      status.quietNanoseconds > settings.quorumPatience.wholeNanoseconds
    else { return }
    endpoints[index].failure = ErrorCode.noQuorum.sentence
    if index == preferred { preferred = (preferred + 1) % endpoints.count }
    moveWatches(from: index, into: &effects)
    askAgain(for: index)
  }

  private mutating func didHear(
    _ event: Event,
    of session: UInt64,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    switch event {
    case .watch(let event): didSee(event, now: now, into: &effects)
    case .lockResolved(let sequence, let reply):
      guard isOpen(SessionID(session)) else { return }
      didResolve(sequence, reply, now: now, into: &effects)
    case .lockLost(let token, let name):
      guard isOpen(SessionID(session)) else { return }
      didLose(token, name, into: &effects)
    }
  }

  private mutating func greet(
    _ reply: HelloReply,
    from index: Int,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    guard reply.verdict == .accepted else {
      if let link = endpoints[index].link { effects.closes.append(link) }
      let reason = "it refused the connection: \(reply.verdict)"
      return fail(index, because: reason, now: now, into: &effects)
    }
    endpoints[index].state = .open
    endpoints[index].node = reply.node
    endpoints[index].failure = nil
    endpoints[index].clusterTime = reply.clusterTime
    endpoints[index].openedAt = now
  }

  /// A link is gone: what was sent over it is unanswered, and the next endpoint is preferred.
  mutating func fail(
    _ index: Int,
    because reason: String,
    now: Instant,
    into effects: inout ClientEffects
  ) {
    endpoints[index].becomeIdle()
    endpoints[index].failureCount += 1
    endpoints[index].failure = reason
    endpoints[index].retryAt = now.advanced(by: .milliseconds(100))
    if index == preferred { preferred = (preferred + 1) % endpoints.count }
    takeBack(from: index)
    askAgain(for: index)
    moveWatches(from: index, into: &effects)
    giveUpUnreachable(index, now: now, into: &effects)
  }

  /// Everything that was sent to an endpoint is to be sent again, before what came later.
  private mutating func takeBack(from index: Int) {
    var pinned: [CallID] = []
    var next = calls.first(of: endpoints[index].sent)
    while let id = next {
      next = calls.next(after: id)
      calls[id]?.isUncertain = true
      if calls[id]?.pinned == nil { calls[id]?.place = .waiting } else { pinned.append(id) }
    }
    for id in pinned { move(id, to: .pinned(index)) }
    calls.prepend(&endpoints[index].sent, to: &waiting)
  }

  mutating func expireLinks(now: Instant, into effects: inout ClientEffects) {
    for index in endpoints.indices {
      guard now >= endpoints[index].deadline(settings), let link = endpoints[index].link else {
        continue
      }
      if endpoints[index].isOpen, !endpoints[index].askedForSign {
        endpoints[index].askedForSign = true
        // Correlation 0 is no call: whatever comes back is the sign of life.
        effects.send(on: link) { $0.appendFrame(.status, correlation: 0) { _ in } }
      } else {
        effects.closes.append(link)
        fail(index, because: "no answer in time", now: now, into: &effects)
      }
    }
  }

  /// Whether calls that are not under way want to go to an endpoint.
  func wants(_ index: Int) -> Bool {
    if !endpoints[index].pinned.isEmpty { return true }
    guard index == preferred else { return false }
    return !(waiting.isEmpty && held.isEmpty && paused.isEmpty && idleWatches.isEmpty)
  }

  mutating func connectWhereNeeded(now: Instant, into effects: inout ClientEffects) {
    for index in endpoints.indices
    where endpoints[index].link == nil && now >= endpoints[index].retryAt && wants(index) {
      lastLink += 1
      let link = LinkID(lastLink)
      endpoints[index].link = link
      endpoints[index].state = .connecting(since: now)
      effects.connects.append((link, index))
    }
  }

  /// Sends calls to the endpoint of that member from now on, if it is known which one that is.
  mutating func prefer(_ node: NodeID) {
    guard node != .zero, let index = endpoints.firstIndex(where: { $0.node == node }) else {
      return
    }
    preferred = index
  }
}
