import RoostClientCore
import RoostWire

/// Clients: what their machines ask for, and what they ask of their machines.
extension SimulatedCluster {
  private func place(of client: Int) -> Int { plan.nodeCount + client }

  // MARK: Calls

  func startLanes(of client: SimulatedClient) {
    for lane in 0..<client.plan.lanes { scheduleLane(client, lane) }
  }

  private func scheduleLane(_ client: SimulatedClient, _ lane: Int) {
    var pause = client.random.draw(from: client.plan.thinkTime)
    // After the storm a few calls are enough to see that all is well.
    if isHealed { pause += client.random.draw(from: 100_000_000...500_000_000) }
    let event = Happening.lane(client: client.number, generation: client.generation, lane: lane)
    queue.add(event, at: now + pause)
  }

  func makeCall(_ client: SimulatedClient, _ generation: Int, _ lane: Int) {
    guard client.generation == generation, isWorking else { return }
    let kind =
      client.takeNext(lane: lane)
      ?? plan.workload.draw(&workloadRandom, number: UInt64(history.count + 1), for: client)
    var call = RecordedCall(client: client.number, kind: kind, startedAt: now)
    call.knownRevision = client.newestRevision
    history.append(call)
    report.callCount += 1
    tell("client \(client.number + 1)", "wants \(kind.story)")
    client.call(kind, lane: lane, place: history.count - 1, at: now)
    perform(client)
  }

  func tick(_ client: SimulatedClient) {
    guard client.nextTick <= now else { return }
    client.nextTick = .max
    client.tick(at: now)
    perform(client)
  }

  /// Does what the client's machine asks, as `ClientEngine` does.
  func perform(_ client: SimulatedClient) {
    while client.effects != ClientEffects() {
      let asked = client.effects
      client.effects = ClientEffects()
      for link in asked.closes { close(link.rawValue, of: client) }
      for connect in asked.connects { dial(client, connect.link.rawValue, connect.endpoint) }
      for send in asked.sends { self.send(send.bytes, on: send.link.rawValue, of: client) }
      for answer in asked.results { finish(answer.call, answer.result, of: client) }
      for notice in asked.notices { take(notice, client) }
    }
    let next = client.clock.world(at: client.machine.nextDeadline)
    guard next < client.nextTick else { return }
    client.nextTick = max(next, now + 1000)
    queue.add(.client(client.number), at: client.nextTick)
  }

  private func finish(_ id: CallID, _ result: CallResult, of client: SimulatedClient) {
    guard let call = client.calls.removeValue(forKey: id) else {
      return breach("stray answer", "client \(client.number + 1) got an answer to no call: \(id)")
    }
    history[call.place].endedAt = now
    history[call.place].result = result
    switch result {
    case .answered: report.answeredCount += 1
    case .failed(let failure): report.unknownCount += failure.mayHaveExecuted ? 1 : 0
    }
    note(history[call.place])
    knownRevision = max(knownRevision, history[call.place].revision ?? .zero)
    client.learn(history[call.place], lane: call.lane, plan.workload, at: now)
    mark(UInt64(call.place) << 8 | 3)
    tell(
      "client \(client.number + 1)",
      "has for \(history[call.place].kind.story): \(history[call.place].outcome)"
    )
    scheduleLane(client, call.lane)
  }

  func die(_ client: SimulatedClient) {
    tell("client \(client.number + 1)", "dies")
    if !client.calls.isEmpty { meet(.clientDied) }
    for link in client.connections.keys.sorted() { close(link, of: client) }
    client.replace(endpoints: endpoints(of: client.number))
    startLanes(of: client)
    startWatches(of: client)
  }

  // MARK: Connections

  private func dial(_ client: SimulatedClient, _ link: UInt64, _ endpoint: Int) {
    let node = Int(client.machine.endpoints[endpoint].address) ?? 0
    let connection = ClientConnection(
      client: client.number,
      generation: client.generation,
      link: link,
      node: node
    )
    client.connections[link] = connection
    queue.add(.clientDialled(connection), at: now + network.draw(200_000...2_000_000))
  }

  func finishDialling(_ connection: ClientConnection) {
    let client = clients[connection.client]
    guard isKnown(connection) else { return }
    let here = place(of: client.number)
    guard !network.isShut(from: here, to: connection.node),
      !network.isShut(from: connection.node, to: here)
    else { return }
    guard let life = nodes[connection.node].life else { return isBrokenAtClient(connection) }
    connection.life = life.number
    connection.token = life.nextToken
    connection.isOpenAtNode = true
    life.nextToken += 1
    life.connections[connection.token] = connection
    connection.upward = Pipe(from: here, to: connection.node, reader: .node(connection))
    connection.downward = Pipe(from: connection.node, to: here, reader: .client(connection))
    client.didConnect(connection.link, at: now)
    perform(client)
  }

  /// Whether the client still has it.
  private func isKnown(_ connection: ClientConnection) -> Bool {
    clients[connection.client].connections[connection.link] === connection
  }

  private func send(_ bytes: [UInt8], on link: UInt64, of client: SimulatedClient) {
    let bytes = RequestForgery.apply(plan.flaw, to: bytes) { [history] correlation in
      client.calls[CallID(correlation)].map { history[$0.place].identity != nil } ?? false
    }
    noteIdentities(in: bytes, of: client)
    if let pipe = client.connections[link]?.upward { push(bytes, into: pipe) }
  }

  /// Writes down under which names requests go out, so that the log can be asked about them.
  private func noteIdentities(in bytes: [UInt8], of client: SimulatedClient) {
    var input = bytes.span
    while let header = try? FrameHeader.next(in: &input, bodyLimit: FrameHeader.bodyLimit) {
      let body = input.extracting(first: header.bodyByteCount)
      input = input.extracting(droppingFirst: header.bodyByteCount)
      guard header.kind == .request, let call = client.calls[CallID(header.correlation)] else {
        continue
      }
      var rest = body.extracting(...)
      guard let identity = try? RequestIdentity(decoding: &rest) else { continue }
      // A name that nothing was executed under is given up for another; any other keeps its first.
      let isNew = history[call.place].identity.map { judge.execution(of: $0) == nil } ?? true
      if isNew { history[call.place].identity = identity }
    }
  }

  func receive(_ bytes: [UInt8], on connection: ClientConnection) {
    guard isKnown(connection) else { return }
    let client = clients[connection.client]
    client.didReceive(bytes, on: connection.link, at: now)
    perform(client)
  }

  /// The client closes.
  private func close(_ link: UInt64, of client: SimulatedClient) {
    guard let connection = client.connections.removeValue(forKey: link) else { return }
    connection.upward?.isOpen = false
    connection.downward?.isOpen = false
    queue.add(.brokenAtNode(connection), at: now + network.draw(50_000...3_000_000))
  }

  /// The node closes, or is no more.
  func breakOff(_ connection: ClientConnection, tellsClient: Bool) {
    connection.isOpenAtNode = false
    connection.downward?.isOpen = false
    guard tellsClient else { return }
    queue.add(.brokenAtClient(connection), at: now + network.draw(50_000...3_000_000))
  }

  func isBrokenAtClient(_ connection: ClientConnection) {
    guard isKnown(connection) else { return }
    let client = clients[connection.client]
    connection.upward?.isOpen = false
    client.connections[connection.link] = nil
    client.didBreak(connection.link, because: "it broke", at: now)
    perform(client)
  }

  func isBrokenAtNode(_ connection: ClientConnection) {
    let node = nodes[connection.node]
    guard connection.isOpenAtNode, let life = node.life, life.number == connection.life else {
      return
    }
    connection.isOpenAtNode = false
    connection.downward?.isOpen = false
    life.inbox.append(.closed(connection))
    wake(node)
  }
}
