import RoostJournal
import RoostRaft
import RoostReplica
import RoostWire

/// Faults: how they strike and how they end.
extension SimulatedCluster {
  func strike(_ action: FaultAction) {
    guard !isHealed else { return }
    report.faults[action.kind, default: 0] += 1
    tell("fate", "\(action)")
    switch action {
    case .powerLoss(let node, let down): losePower(nodes[node], down: down)
    case .kill(let node, let down): kill(nodes[node], down: down)
    case .powerLossInTurn(let node, let steps, let down):
      if nodes[node].life != nil { nodes[node].fuse = (steps, down) }
    case .pause(let node, let length):
      if nodes[node].life != nil { nodes[node].pausedUntil = now + length }
    case .leaderPause(let length): newestLeader?.pausedUntil = now + length
    case .clockJump(let node, let by): nodes[node].clock.jump(by: by, at: now)
    case .clockDrift(let node, let drift): nodes[node].clock.setDrift(drift, at: now)
    case .slowDisk(let node, let factor, let length):
      slowDown(nodes[node], factor)
      queue.add(.end(.disk(node)), at: now + length)
    case .writeFailure, .operationFailure, .fullDisk, .lyingSync, .bitRot, .diskLoss,
      .powerLossAtStart:
      strikeDisk(action)
    case .handOver, .members: strikeLeader(action)
    case .garbage(let from, let to, let draw): sendGarbage(from: from, to: to, draw)
    case .slowLink(let from, let to, let delay, let length):
      network.slowDown(from: from, to: to, by: Int64(delay))
      queue.add(.end(.slowLink(from: from, to: to, delay: delay)), at: now + length)
    case .clientDeath(let client): die(clients[client])
    case .resetConnections(let node): resetConnections(of: nodes[node])
    case .foulWeather(let weather, let length):
      network.storms.append(weather)
      queue.add(.end(.weather), at: now + length)
    case .partition, .oneWay, .partial, .flapping, .leaderCut: part(action)
    }
    if case .clockJump(let node, _) = action { wake(nodes[node]) }
  }

  private func part(_ action: FaultAction) {
    let others = Array(0..<plan.nodeCount)
    switch action {
    case .partition(let side, let length):
      var here = side
      var there = others.filter { !side.contains($0) }
      // Each client finds itself on one side.
      for client in clients.indices {
        let place = plan.nodeCount + client
        if network.chance(1, in: 2) { here.append(place) } else { there.append(place) }
      }
      shut(here.flatMap { one in there.flatMap { [(one, $0), ($0, one)] } }, for: length)
    case .leaderCut(let companions, let length):
      guard let leader = newestLeader?.number else { return }
      part(.partition(side: companions.filter { $0 != leader } + [leader], length: length))
    case .oneWay(let from, let to, let length): shut([(from, to)], for: length)
    case .partial(let node, let other, let length):
      shut([(node, other), (other, node)], for: length)
    case .flapping(let node, let times, let period):
      for time in 1..<max(2, times) {
        let one = FaultAction.flapping(node: node, times: 1, period: period)
        if times > 1 { queue.add(.fault(one), at: now + 2 * period * UInt64(time)) }
      }
      let everybody = 0..<network.placeCount
      shut(everybody.filter { $0 != node }.flatMap { [($0, node), (node, $0)] }, for: period)
    default: break
    }
  }

  private var newestLeader: SimulatedNode? {
    nodes.filter { $0.life?.look { $0.consensus.isLeader } == true }
      .max { $0.life?.term ?? .zero < $1.life?.term ?? .zero }
  }

  private func shut(_ ways: [(from: Int, to: Int)], for length: UInt64) {
    for way in ways { network.shut(from: way.from, to: way.to, by: 1) }
    queue.add(.end(.open(ways)), at: now + length)
  }

  private func slowDown(_ node: SimulatedNode, _ factor: UInt64) {
    let usual = node.usualLatency
    node.disk.latency = SimulatedDisk.Latency(
      write: usual.write.lowerBound * factor...usual.write.upperBound * factor,
      background: usual.background.lowerBound * factor...usual.background.upperBound * factor
    )
  }

  private func resetConnections(of node: SimulatedNode) {
    guard let life = node.life else { return }
    for token in life.connections.keys.sorted() {
      guard let connection = life.connections[token] else { continue }
      breakOff(connection, tellsClient: true)
      forget(connection, life)
    }
    for link in life.links where link.pipe != nil { linkIsBroken(link) }
    breakLinks(to: node)
  }

  func finish(_ end: FaultEnd) {
    guard !isHealed else { return }
    switch end {
    case .open(let ways):
      for way in ways { network.shut(from: way.from, to: way.to, by: -1) }
    case .weather: network.storms.removeFirst()
    case .slowLink(let from, let to, let delay):
      network.slowDown(from: from, to: to, by: -Int64(delay))
    case .room(let node):
      nodes[node].disk.capacity = nil
      wake(nodes[node])
    case .disk(let node): nodes[node].disk.latency = nodes[node].usualLatency
    }
  }

  /// Everything is well again, from now on.
  func heal() {
    tell("fate", "everything is healed")
    isHealed = true
    network.calm()
    wanted = nodes.map { _ in Goal.voter }
    for node in nodes {
      node.fuse = nil
      node.disk.nextWriteFailure = nil
      node.disk.nextOperationFailure = nil
      node.disk.operationsBeforeFailure = 0
      node.disk.lyingSyncs = 0
      node.startFuse = nil
      node.disk.capacity = nil
      node.disk.latency = node.usualLatency
      if node.pausedUntil > now { node.pausedUntil = now }
      if node.life == nil {
        queue.add(.start(node: node.number, life: node.lifeCount), at: now + 1)
      } else {
        wake(node)
      }
    }
  }
}
