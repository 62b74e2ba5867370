package import RoostJournal
package import RoostRaft
package import RoostStateMachine
import RoostWire

/// Everything that is decided before a run begins: the cluster, its limits, its clients, and what goes wrong when.
///
/// A plan comes from a seed, and each takes a random part of all kinds of faults and limits, so that rare
/// mixes are met (swarm testing). Faults are listed one by one with their times, so that a failing plan can
/// be made smaller by leaving some out.
package struct StormPlan: Sendable {
  package let seed: UInt64
  /// What it is heavy in, if it is.
  package var theme: StormTheme?
  package var nodeCount = 3
  /// How long things go wrong; then everything is healed.
  package var length: UInt64 = 60 * second
  package var settings = Settings()
  package var journal = JournalSettings(segmentByteCount: 32768, unit: 512, payloadLimit: 20_000)
  /// Whether values may be long, in larger segments.
  package var hasLargeValues = false
  /// How many bytes of entries are applied between two snapshots.
  package var snapshotByteCount = 1 << 20
  package var diskLatency = SimulatedDisk.Latency()
  /// How long a node takes until it looks at what has come.
  package var turnDelay: ClosedRange<UInt64> = 1_000...50_000
  package var weather = Weather()
  package var clocks: [Int64] = []
  /// Limits of the state machine, the same on all nodes.
  package var stateLimits = StateLimits()
  /// How much each node should lead.
  package var priorities: [UInt8] = []
  /// How many of the nodes found the cluster; the others are asked in later.
  package var founderCount = 3
  package var clients: [ClientPlan] = []
  package var workload = WorkloadPlan()
  /// A mistake that is planted into the nodes.
  package var flaw: StormFlaw?
  /// Ordered by time.
  package var faults: [Fault] = []

  static let second: UInt64 = 1_000_000_000
  static let millisecond: UInt64 = 1_000_000

  /// A calm plan: nothing goes wrong.
  package init(calm seed: UInt64, nodeCount: Int = 3, length: UInt64 = 10 * second) {
    self.seed = seed
    self.nodeCount = nodeCount
    self.length = length
    founderCount = nodeCount
    priorities = [UInt8](repeating: 1, count: nodeCount)
    clocks = [Int64](repeating: 0, count: nodeCount)
    clients = (0..<3).map { ClientPlan(hasSession: $0 % 2 == 1) }
  }

  /// The plan that a seed stands for.
  package init(seed: UInt64, length: UInt64 = 60 * second) {
    self.seed = seed
    self.length = length
    var random = SplitMix64(seed: seed)
    var cluster = random.split()
    drawCluster(&cluster)
    var workload = random.split()
    drawClients(&workload)
    var faults = random.split()
    drawFaults(&faults)
    // A lease for reads stands on the rate of clocks.
    if self.faults.contains(where: { $0.action.kind == "clock jump" }) {
      settings.leaseReads = false
    }
  }

  private mutating func drawCluster(_ random: inout SplitMix64) {
    nodeCount = [1, 2, 3, 3, 3, 3, 4, 5, 5, 7][Int(random.below(10))]
    if random.chance(1, in: 3) {
      theme = StormTheme.allCases[Int(random.below(UInt64(StormTheme.allCases.count)))]
      nodeCount = [3, 3, 3, 4, 5, 5][Int(random.below(6))]
    }
    if random.chance(1, in: 3) {
      settings.heartbeatInterval = .milliseconds(100)
      settings.electionTimeout = .milliseconds(600) ... .milliseconds(1200)
    }
    if random.chance(1, in: 3) {
      settings.messageByteLimit = Int(random.draw(from: 100...2000))
      settings.inFlightMessageLimit = Int(random.draw(from: 1...4))
      settings.inFlightByteLimit = Int(random.draw(from: 200...8000))
    }
    if random.chance(1, in: 4) {
      settings.uncommittedByteLimit = Int(random.draw(from: 4000...20_000))
    }
    if random.chance(1, in: 4) {
      settings.readRoundLimit = 1
      settings.waitingReadLimit = Int(random.draw(from: 4...40))
    }
    hasLargeValues = random.chance(1, in: 5)
    // A segment has room for all that clients can ask at once.
    journal = JournalSettings(
      segmentByteCount: hasLargeValues ? 524_288 : [32768, 32768, 65536][Int(random.below(3))],
      unit: [512, 512, 4096][Int(random.below(3))],
      inFlightLimit: Int(random.draw(from: 1...3)),
      groupByteLimit: [2048, 8192, 65536][Int(random.below(3))],
      payloadLimit: hasLargeValues ? 400_000 : 20_000
    )
    journal.snapshotChunkByteCount = hasLargeValues ? 20_000 : 500
    if random.chance(1, in: 4) {
      diskLatency = SimulatedDisk.Latency(write: 1_000_000...12_000_000)
    }
    if random.chance(2, in: 3) {
      snapshotByteCount = Int(random.draw(from: 500...(random.chance(1, in: 3) ? 5000 : 90_000)))
      if hasLargeValues { snapshotByteCount *= 20 }
    }
    if random.chance(1, in: 3) {
      settings.snapshotChunkByteLimit = Int(random.draw(from: 50...5000))
    }
    if random.chance(1, in: 3) { turnDelay = 1_000...2_000_000 }
    weather = Self.drawWeather(&random)
    let isDrifting = random.chance(1, in: 2)
    clocks = (0..<nodeCount).map { _ in isDrifting ? Int64(random.below(9000)) - 4500 : 0 }
    drawMembers(&random)
    drawStateLimits(&random)
    drawThemeOfCluster(&random)
  }

  private mutating func drawMembers(_ random: inout SplitMix64) {
    founderCount = nodeCount
    if random.chance(1, in: 5) { founderCount = Int(random.draw(from: 1...UInt64(nodeCount))) }
    let isGraded = random.chance(1, in: 5)
    priorities = (0..<nodeCount).map { _ in isGraded ? UInt8(random.below(4)) : 1 }
    if !priorities.contains(where: { $0 > 0 }) { priorities[0] = 1 }
    if priorities.prefix(founderCount).allSatisfy({ $0 == 0 }) { priorities[0] = 1 }
    settings.priorityDelay = .seconds(1)
    settings.leaseReads = random.chance(1, in: 3)
  }

  private mutating func drawStateLimits(_ random: inout SplitMix64) {
    if hasLargeValues || random.chance(7, in: 8) {
      stateLimits.historyRevisions = random.draw(from: 1...300)
      stateLimits.historyAge = random.draw(from: 1...5_000) * Self.millisecond
    }
    if random.chance(1, in: 4) {
      stateLimits.historyBytes = random.draw(from: 1000...100_000)
      // More than one entry can make: else a watch that keeps up is ended by the entry that it was to hear of. A node keeps ten
      // times as many as fit into an entry.
      stateLimits.historyRevisions = max(stateLimits.historyRevisions, 64)
    }
    if random.chance(1, in: 4) {
      stateLimits.requestWindow = random.draw(from: 30...200)
      stateLimits.storedReplyBytes = Int(random.draw(from: 4000...40_000))
    }
    if random.chance(1, in: 4) { stateLimits.clearingSteps = Int(random.draw(from: 1...8)) }
    if random.chance(1, in: 6) { stateLimits.pageKeys = Int(random.draw(from: 5...12)) }
    if random.chance(1, in: 8) { stateLimits.oneShots = Int(random.draw(from: 8...60)) }
  }

  static func drawWeather(_ random: inout SplitMix64) -> Weather {
    var weather = Weather()
    if random.chance(1, in: 2) {
      weather.delay = 50_000...random.draw(from: 1_000_000...30_000_000)
    }
    if random.chance(1, in: 3) { weather.lossPermille = random.draw(from: 1...100) }
    if random.chance(1, in: 3) { weather.duplicationPermille = random.draw(from: 1...200) }
    if random.chance(1, in: 3) {
      weather.slowPermille = random.draw(from: 1...50)
      weather.slowDelay = random.draw(from: 10_000_000...5_000_000_000)
    }
    if random.chance(1, in: 8) { weather.corruptionPermille = random.draw(from: 1...5) }
    weather.reorders = random.chance(1, in: 2)
    return weather
  }

  private mutating func drawClients(_ random: inout SplitMix64) {
    let count = Int(random.draw(from: 2...6))
    // From busy to idle: each doubling of the pauses is as likely as any other.
    let pause = random.draw(from: 8_000_000...16_000_000)
    let thinkTime = pause << random.below(7)
    clients = (0..<count).map { _ in
      var client = ClientPlan(hasSession: random.chance(2, in: 3))
      client.lanes = Int(random.draw(from: 1...4))
      client.thinkTime = 1_000_000...thinkTime
      client.timeout = random.draw(from: 500...8000) * Self.millisecond
      client.sessionTTL = random.draw(from: 500...15_000) * Self.millisecond
      client.knowsOneEndpoint = random.chance(1, in: 6)
      client.watches = random.chance(1, in: 2) ? Int(random.below(3)) : 0
      return client
    }
    slowClientsDown()
    workload.draw(&random)
    drawThemeOfClients(&random)
    workload.fillLimit = hasLargeValues ? 3000 : 40
  }

  /// Many seeds find more than many calls: together the clients make so many calls a second, and fewer of large clusters.
  private mutating func slowClientsDown() {
    let lanes = clients.reduce(0) { $0 + UInt64($1.lanes) }
    let leastPause = 2 * lanes * UInt64(nodeCount) * Self.second / 120
    for number in clients.indices {
      let most = max(clients[number].thinkTime.upperBound, leastPause)
      clients[number].thinkTime = Self.millisecond...most
    }
  }
}

/// One client process.
package struct ClientPlan: Equatable, Sendable {
  package var hasSession: Bool
  /// How many calls it makes at a time.
  package var lanes = 2
  package var thinkTime: ClosedRange<UInt64> = 1_000_000...50_000_000
  package var timeout: UInt64 = 4_000_000_000
  package var sessionTTL: UInt64 = 10_000_000_000
  /// Whether all its requests go through one node, which hands them on.
  package var knowsOneEndpoint = false
  /// How many watches it has.
  package var watches = 0

  package init(hasSession: Bool) { self.hasSession = hasSession }
}
