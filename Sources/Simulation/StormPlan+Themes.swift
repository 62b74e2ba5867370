import RoostJournal
import RoostRaft
import RoostStateMachine
import RoostWire

/// What a heavy storm is heavy in: one seed in three has faults of a kind that follow each other so fast that one meets
/// the consequences of another.
package enum StormTheme: String, CaseIterable, Sendable {
  /// Leaders come and go, with short timeouts, slow disks and power that fails meanwhile.
  case elections
  /// Members come and go while nodes are cut off.
  case membership
  /// Disks rot, fail, fill up and are lost, and power fails again and again.
  case disks
  /// Sessions are short, clients die, locks rest, leases end.
  case locks
  /// Leaders are paused and cut off while everybody reads, within leases too.
  case reads

  /// The kinds of faults that it is heavy in.
  var kinds: [StormPlan.Kind] {
    switch self {
    case .elections:
      [
        .powerLoss, .kill, .powerLossInTurn, .partition, .oneWay, .partial, .flapping,
        .foulWeather, .handOver, .slowDisk, .blackout, .leaderCut,
      ]
    case .membership:
      [
        .members, .powerLossInTurn, .partition, .oneWay, .handOver, .kill, .diskLoss, .flapping,
        .leaderCut,
      ]
    case .disks:
      [
        .bitRot, .diskLoss, .powerLoss, .powerLossInTurn, .powerLossAtStart, .lyingSync,
        .writeFailure, .operationFailure, .blackout, .kill, .partition,
      ]
    case .locks:
      [.leaderCut, .clientDeath, .kill, .pause, .resetConnections, .partition, .handOver]
    case .reads:
      [.pause, .partition, .oneWay, .partial, .flapping, .slowLink, .handOver, .kill, .leaderCut]
    }
  }
}

extension StormPlan {
  /// Makes the cluster fit the theme.
  mutating func drawThemeOfCluster(_ random: inout SplitMix64) {
    switch theme {
    case .elections:
      let shortest = random.draw(from: 60...200)
      settings.heartbeatInterval = .milliseconds(Int64(shortest / 3))
      settings.electionTimeout =
        .milliseconds(Int64(shortest)) ... .milliseconds(Int64(shortest * 3 / 2))
      diskLatency = SimulatedDisk.Latency(write: 500_000...random.draw(from: 1...30) * 1_000_000)
      weather.delay = 50_000...random.draw(from: 1_000_000...40_000_000)
      weather.slowPermille = 20
      weather.duplicationPermille = 100
      weather.reorders = true
      if random.chance(1, in: 2) {
        settings.messageByteLimit = Int(random.draw(from: 60...300))
        settings.inFlightMessageLimit = Int(random.draw(from: 1...3))
      }
    case .membership:
      settings.priorityDelay = .milliseconds(200)
      weather.slowPermille = 30
      weather.slowDelay = random.draw(from: 100...3000) * Self.millisecond
      diskLatency = SimulatedDisk.Latency(write: 500_000...random.draw(from: 1...20) * 1_000_000)
    case .disks:
      journal.inFlightLimit = 3
      diskLatency = SimulatedDisk.Latency(write: 100_000...random.draw(from: 1...20) * 1_000_000)
      if !hasLargeValues { snapshotByteCount = Int(random.draw(from: 2000...60_000)) }
    case .reads:
      settings.leaseReads = true
      weather.slowPermille = 30
      weather.slowDelay = random.draw(from: 200...2000) * Self.millisecond
      weather.reorders = true
    case .locks, nil: break
    }
  }

  /// Makes the clients fit the theme.
  mutating func drawThemeOfClients(_ random: inout SplitMix64) {
    switch theme {
    case .locks:
      for place in clients.indices {
        clients[place].hasSession = true
        clients[place].sessionTTL = random.draw(from: 300...2500) * Self.millisecond
      }
      workload.locks = 8
      workload.leases = 5
      workload.restLimit = random.draw(from: 400...6000)
      workload.keptGrants = 20
    case .reads:
      workload.reads = 12
      workload.leaseReads = random.draw(from: 30...90)
      for place in clients.indices { clients[place].lanes = 4 }
    case .elections, .membership, .disks, nil: break
    }
  }

  /// Lets a fault meet another one: alone many do no harm.
  mutating func addConsequences(
    of kind: Kind,
    at time: UInt64,
    on node: Int,
    _ random: inout SplitMix64
  ) {
    guard theme != nil, nodeCount > 2, random.chance(2, in: 3) else { return }
    let other = (node + 1 + Int(random.below(UInt64(nodeCount - 1)))) % nodeCount
    switch (theme, kind) {
    case (.membership, .members):
      // The change is decided while the leader has the new members with it, and the old ones are parted from them.
      var companions: [Int] = []
      if case .members(let voters, _)? = faults.last?.action { companions = voters }
      companions.removeAll { _ in random.chance(1, in: 4) }
      let length = random.draw(from: 300...2500) * Self.millisecond
      add(.leaderCut(with: companions, length: length), &random)
    case (.reads, .pause):
      // For about as long as it takes the others to find another leader.
      let timeout = settings.electionTimeout.lowerBound.wholeNanoseconds
      add(.leaderPause(length: random.draw(from: timeout...2 * timeout)), &random)
    case (_, .diskLoss), (_, .bitRot):
      // A third node lags behind, and the one that has everything goes down.
      let third = (0..<nodeCount).first { $0 != node && $0 != other } ?? other
      let lag = random.draw(from: 200...900) * Self.millisecond
      let start = time > lag ? time - lag : 0
      faults.append(
        Fault(time: start, action: .partition(side: [third], length: time - start + 20_000_000))
      )
      add(.powerLoss(node: other, down: random.draw(from: 200...3000) * Self.millisecond), &random)
    default: break
    }
    func add(_ action: FaultAction, _ random: inout SplitMix64) {
      let delay = random.below(kind == .members ? 400 : 120) * Self.millisecond
      faults.append(Fault(time: time + delay, action: action))
    }
  }
}
