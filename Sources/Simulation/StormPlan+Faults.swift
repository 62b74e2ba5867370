import RoostJournal
import RoostWire

extension StormPlan {
  enum Kind: CaseIterable {
    case powerLoss, kill, powerLossInTurn, pause, partition, oneWay, partial, flapping
    case foulWeather, resetConnections, clockJump, clockDrift, slowDisk, writeFailure, clientDeath
    case operationFailure, fullDisk, lyingSync, bitRot, diskLoss, powerLossAtStart
    case slowLink, garbage, handOver, members, leaderCut
    /// All machines lose power together.
    case blackout
  }

  /// Draws a part of all kinds, and for each how often it happens.
  mutating func drawFaults(_ random: inout SplitMix64) {
    for kind in Kind.allCases {
      var own = random.split()
      // Leases for reads stand on clocks that do not leap.
      if theme == .reads, kind == .clockJump { continue }
      let isHeavy = theme?.kinds.contains(kind) == true
      guard isHeavy ? own.chance(3, in: 4) : own.chance(1, in: theme == nil ? 3 : 8) else {
        continue
      }
      let interval =
        isHeavy
        ? own.draw(from: 300 * Self.millisecond...4 * Self.second)
        : own.draw(from: 2 * Self.second...25 * Self.second)
      var time = own.below(interval)
      while time < length {
        add(kind, at: time, &own)
        time += interval / 4 + own.below(interval * 3 / 2)
      }
    }
    faults = faults.enumerated().sorted { left, right in
      left.element.time != right.element.time
        ? left.element.time < right.element.time : left.offset < right.offset
    }.map(\.element)
  }

  private mutating func add(_ kind: Kind, at time: UInt64, _ random: inout SplitMix64) {
    let node = Int(random.below(UInt64(nodeCount)))
    let isShort = theme != nil && random.chance(4, in: 5)
    let down = random.draw(
      from: 1 * Self.millisecond...(isShort ? 400 * Self.millisecond : 8 * Self.second)
    )
    let length = random.draw(
      from: 20 * Self.millisecond...(isShort ? 2 : 10) * Self.second
    )
    func add(_ action: FaultAction) { faults.append(Fault(time: time, action: action)) }
    switch kind {
    case .powerLoss: add(.powerLoss(node: node, down: down))
    case .kill: add(.kill(node: node, down: down))
    case .powerLossInTurn:
      add(.powerLossInTurn(node: node, steps: Int(random.draw(from: 1...80)), down: down))
    case .pause: add(.pause(node: node, length: length))
    case .flapping:
      let period = random.draw(from: 20 * Self.millisecond...800 * Self.millisecond)
      add(.flapping(node: node, times: Int(random.draw(from: 2...8)), period: period))
    case .foulWeather: add(.foulWeather(Self.drawWeather(&random), length: length))
    case .resetConnections: add(.resetConnections(node: node))
    case .clockJump:
      add(.clockJump(node: node, by: random.draw(from: 10 * Self.millisecond...10 * Self.second)))
    case .clockDrift: add(.clockDrift(node: node, drift: Int64(random.below(9000)) - 4500))
    case .slowDisk:
      add(.slowDisk(node: node, factor: random.draw(from: 2...300), length: length))
    case .writeFailure: add(.writeFailure(node: node))
    case .clientDeath: add(.clientDeath(client: Int(random.below(UInt64(clients.count)))))
    case .blackout:
      for node in 0..<nodeCount {
        let down = random.draw(from: 1 * Self.millisecond...2 * Self.second)
        add(.powerLoss(node: node, down: down))
      }
    case .partition, .oneWay, .partial, .slowLink, .garbage:
      addBetweenTwo(kind, at: time, length: length, &random)
    case .operationFailure, .fullDisk, .lyingSync, .bitRot, .diskLoss, .powerLossAtStart:
      faults.append(Fault(time: time, action: diskFault(kind, node, down, length, &random)))
    case .handOver: add(.handOver)
    case .leaderCut:
      let companions = (0..<nodeCount).filter { _ in random.chance(1, in: 4) }
      add(.leaderCut(with: companions, length: length))
    case .members: addMembers(at: time, &random)
    }
    addConsequences(of: kind, at: time, on: node, &random)
  }

  private func diskFault(
    _ kind: Kind,
    _ node: Int,
    _ down: UInt64,
    _ length: UInt64,
    _ random: inout SplitMix64
  ) -> FaultAction {
    switch kind {
    case .operationFailure: .operationFailure(node: node, after: Int(random.below(12)))
    case .fullDisk:
      .fullDisk(
        node: node,
        room: Int(random.below(UInt64(journal.segmentByteCount / 2))),
        length: 3 * length
      )
    case .lyingSync: .lyingSync(node: node)
    case .bitRot: .bitRot(node: node, draw: random.next(), down: down)
    case .diskLoss: .diskLoss(node: node, down: down)
    default:
      .powerLossAtStart(node: node, operations: Int(random.draw(from: 1...12)), down: down)
    }
  }

  /// Draws who is to vote and who to learn; somebody votes, and now and then everybody does.
  private mutating func addMembers(at time: UInt64, _ random: inout SplitMix64) {
    var voters: [Int] = []
    var learners: [Int] = []
    let isWhole = random.chance(1, in: 4)
    for node in 0..<nodeCount {
      if isWhole || random.chance(theme == .membership ? 3 : 4, in: 6) {
        voters.append(node)
      } else if random.chance(1, in: 2) {
        learners.append(node)
      }
    }
    if voters.isEmpty { voters = [Int(random.below(UInt64(nodeCount)))] }
    learners.removeAll { voters.contains($0) }
    faults.append(Fault(time: time, action: .members(voters: voters, learners: learners)))
  }

  private mutating func addBetweenTwo(
    _ kind: Kind,
    at time: UInt64,
    length: UInt64,
    _ random: inout SplitMix64
  ) {
    guard nodeCount > 1 else { return }
    let node = Int(random.below(UInt64(nodeCount)))
    let other = (node + 1 + Int(random.below(UInt64(nodeCount - 1)))) % nodeCount
    let action: FaultAction =
      switch kind {
      case .oneWay: .oneWay(from: node, to: other, length: length)
      case .partial: .partial(node: node, other: other, length: length)
      case .garbage: .garbage(from: node, to: other, draw: random.next())
      case .slowLink:
        .slowLink(
          from: node,
          to: other,
          delay: random.draw(from: 5 * Self.millisecond...2 * Self.second),
          length: length
        )
      default:
        .partition(
          side: (0..<nodeCount).filter { $0 == node || random.chance(1, in: 3) },
          length: length
        )
      }
    faults.append(Fault(time: time, action: action))
  }
}
