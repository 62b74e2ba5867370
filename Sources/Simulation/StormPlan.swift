package import RoostJournal
package import RoostRaft
import RoostWire

/// Everything that is decided before a run begins: the cluster, its limits, its clients, and what goes wrong when.
///
/// A plan comes from a seed, and each takes a random part of all kinds of faults and limits, so that rare
/// mixes are met (swarm testing). Faults are listed one by one with their times, so that a failing plan can
/// be made smaller by leaving some out.
package struct StormPlan: Sendable {
  package let seed: UInt64
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
  }

  private mutating func drawCluster(_ random: inout SplitMix64) {
    nodeCount = [1, 2, 3, 3, 3, 3, 4, 5, 5, 7][Int(random.below(10))]
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
    if random.chance(1, in: 4) {
      diskLatency = SimulatedDisk.Latency(write: 1_000_000...12_000_000)
    }
    if random.chance(2, in: 3) { snapshotByteCount = Int(random.draw(from: 500...60_000)) }
    if random.chance(1, in: 3) {
      settings.snapshotChunkByteLimit = Int(random.draw(from: 50...5000))
    }
    if random.chance(1, in: 3) { turnDelay = 1_000...2_000_000 }
    weather = Self.drawWeather(&random)
    let isDrifting = random.chance(1, in: 2)
    clocks = (0..<nodeCount).map { _ in isDrifting ? Int64(random.below(9000)) - 4500 : 0 }
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
    let thinkTime = random.draw(from: 5_000_000...200_000_000)
    clients = (0..<count).map { _ in
      var client = ClientPlan(hasSession: random.chance(2, in: 3))
      client.lanes = Int(random.draw(from: 1...4))
      client.thinkTime = 1_000_000...thinkTime
      client.timeout = random.draw(from: 500...8000) * Self.millisecond
      client.sessionTTL = random.draw(from: 500...15_000) * Self.millisecond
      client.knowsOneEndpoint = random.chance(1, in: 6)
      return client
    }
    workload.draw(&random)
    workload.fillLimit = hasLargeValues ? 3000 : 40
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

  package init(hasSession: Bool) { self.hasSession = hasSession }
}
