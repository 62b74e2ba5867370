import RoostRaft
import RoostWire

/// A whole cluster with its clients, in one value of virtual time.
///
/// One queue holds everything that will happen, in the order of the world's time; whatever happens may add more.
/// All dice come from the plan's seed and each part has its own, so the same plan gives the same run.
/// First the storm: faults and workload. Then everything is healed, and within a bound every call must
/// end, every node must know the same, and new calls must succeed.
package final class SimulatedCluster {
  /// What can happen.
  enum Happening {
    case turn(node: Int, life: UInt64)
    case packet(from: Int, to: Int, bytes: [UInt8])
    case pipe(Pipe)
    case broken(Pipe)
    case dialled(PeerLink)
    case linkBroken(PeerLink)
    case clientDialled(ClientConnection)
    case brokenAtClient(ClientConnection)
    case brokenAtNode(ClientConnection)
    case client(Int)
    case lane(client: Int, generation: Int, lane: Int)
    case start(node: Int, life: UInt64)
    case fault(FaultAction)
    case end(FaultEnd)
    case operate
  }

  /// What is well again.
  enum FaultEnd {
    case open([(from: Int, to: Int)])
    case weather
    case disk(Int)
    case slowLink(from: Int, to: Int, delay: UInt64)
    case room(Int)
  }

  package let plan: StormPlan
  package private(set) var now: UInt64 = 0
  var queue = EventQueue<Happening>()
  var network: SimulatedNetwork
  var nodes: [SimulatedNode] = []
  var clients: [SimulatedClient] = []
  var judge: ClusterJudge
  var history: [RecordedCall] = []
  var watches: [RecordedWatch] = []
  /// The newest revision that any client was answered with.
  var knownRevision = Revision.zero
  package internal(set) var report = StormReport()
  var workloadRandom: SplitMix64
  var coverage = CoverageCounts()
  /// Whether clients make new calls.
  var isWorking = true
  var isHealed = false
  /// Told of everything that happens, if somebody wants to read the story.
  let narrator: ((String) -> Void)?
  /// Told of each step of the protocol, as a line of JSON.
  let recorder: ((String) -> Void)?
  /// What each node is to be in the cluster; nil: not in it.
  var wanted: [Goal?] = []
  /// The node that has lost something of its disk that the others still have; one at a time.
  var impaired: Int?

  /// How long a turn's own work takes at least, so that time goes on.
  static let turnCost: UInt64 = 2_000

  package init(
    _ plan: StormPlan,
    narrator: ((String) -> Void)? = nil,
    recorder: ((String) -> Void)? = nil
  ) {
    self.plan = plan
    self.narrator = narrator
    self.recorder = recorder
    var random = SplitMix64(seed: plan.seed ^ 0x5DEE_CE66_D1CE_4E5B)
    network = SimulatedNetwork(
      placeCount: plan.nodeCount + plan.clients.count,
      weather: plan.weather,
      random: random.split()
    )
    workloadRandom = random.split()
    judge = ClusterJudge(
      StormFlaw.state(plan.flaw, plan.stateLimits),
      judgesTime: !plan.faults.contains { $0.action.kind == "clock jump" }
    )
    for number in 0..<plan.nodeCount { addNode(number, random.split()) }
    for number in plan.clients.indices { addClient(number, random.split()) }
    for fault in plan.faults { queue.add(.fault(fault.action), at: fault.time) }
    wanted = nodes.map { _ in Goal.voter }
    queue.add(.operate, at: StormPlan.second)
  }

  private func addNode(_ number: Int, _ random: SplitMix64) {
    var random = random
    let clock = VirtualClock(
      start: random.draw(from: 1_000_000_000...1_000_000_000_000),
      drift: plan.clocks[number],
      world: 0
    )
    let disk = SimulatedDisk(random: random.split(), latency: plan.diskLatency)
    nodes.append(SimulatedNode(number: number, disk: disk, clock: clock, random: random))
    queue.add(.start(node: number, life: 0), at: random.below(200_000_000))
  }

  private func addClient(_ number: Int, _ random: SplitMix64) {
    var random = random
    let clock = VirtualClock(start: random.below(1_000_000_000_000), drift: 0, world: 0)
    let client = SimulatedClient(
      number: number,
      plan: plan.clients[number],
      endpoints: endpoints(of: number),
      clock: clock,
      random: random
    )
    clients.append(client)
    startLanes(of: client)
    startWatches(of: client)
  }

  /// The nodes that a client knows; an endpoint's name is the node's number.
  func endpoints(of client: Int) -> [String] {
    let all = (0..<plan.nodeCount).map { "\(($0 + client) % plan.nodeCount)" }
    return plan.clients[client].knowsOneEndpoint ? [all[0]] : all
  }

  // MARK: Time

  /// Runs the whole plan and answers what the judges say.
  package func run() -> StormReport {
    run(until: plan.length)
    heal()
    let settled = now + Self.settlingTime
    run(until: settled)
    let probeStart = history.count
    run(until: settled + 3 * StormPlan.second)
    isWorking = false
    // Under tiny limits a node that is far behind needs a message for each entry.
    let patience = Self.patience + UInt64(judge.entries.count) * 10 * StormPlan.millisecond
    let isQuiet = run(until: now + patience) { self.isQuiet }
    judgeLiveness(isQuiet: isQuiet, probes: probeStart...)
    judgeHistory()
    report.virtualTime = now
    report.marks = allCoverage.named
    return report
  }

  private var allCoverage: CoverageCounts {
    var all = coverage
    all.add(judge.coverage)
    all.add(judge.lockCoverage)
    return all
  }

  /// How long after the storm everything must work again.
  static let settlingTime = 12 * StormPlan.second
  /// How long all calls and queues may take to drain.
  static let patience = 20 * StormPlan.second

  /// Lets happen what happens until then, or until `isOver` or something is found.
  @discardableResult
  package func run(until end: UInt64, or isOver: () -> Bool = { false }) -> Bool {
    while report.violations.isEmpty {
      if isOver() { return true }
      guard let time = queue.nextTime, time <= end else { break }
      guard let (_, happening) = queue.removeFirst() else { break }
      now = max(now, time)
      report.eventCount += 1
      happen(happening)
    }
    if report.violations.isEmpty { now = max(now, end) }
    return isOver()
  }

  private func happen(_ happening: Happening) {
    switch happening {
    case .turn(let node, let life): turn(nodes[node], life)
    case .packet(let from, let to, let bytes): arrive(bytes, from: from, to: to)
    case .pipe(let pipe): move(pipe)
    case .broken(let pipe): breakOff(pipe)
    case .dialled(let link): finishDialling(link)
    case .linkBroken(let link): linkIsBroken(link)
    case .clientDialled(let connection): finishDialling(connection)
    case .brokenAtClient(let connection): isBrokenAtClient(connection)
    case .brokenAtNode(let connection): isBrokenAtNode(connection)
    case .client(let number): tick(clients[number])
    case .lane(let client, let generation, let lane): makeCall(clients[client], generation, lane)
    case .start(let node, let life): start(nodes[node], after: life)
    case .fault(let action): strike(action)
    case .end(let end): finish(end)
    case .operate: operate()
    }
  }

  /// Folds something into the run's fingerprint: equal runs have equal ones.
  func mark(_ number: UInt64) {
    var mixer = SplitMix64(seed: report.fingerprint ^ number &* 0x9E37_79B9_7F4A_7C15 ^ now)
    report.fingerprint = mixer.next()
  }

  func meet(_ mark: CoverageMark) { coverage.meet(mark) }

  func tell(_ who: @autoclosure () -> String, _ what: @autoclosure () -> String) {
    guard let narrator else { return }
    narrator("\(timeText(now))  \(who())  \(what())")
  }

  func breach(_ kind: String, _ text: String) {
    tell("judge", "\(kind): \(text)")
    report.violations.append(Violation(kind: kind, text: text, time: now))
  }
}

/// A moment of the world's time: seconds and microseconds.
func timeText(_ time: UInt64) -> String {
  let micros = "\(1_000_000 + time / 1000 % 1_000_000)".dropFirst()
  let seconds = "\(time / 1_000_000_000)"
  return String(repeating: " ", count: max(0, 4 - seconds.utf8.count)) + seconds + "." + micros
}
