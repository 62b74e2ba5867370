internal import RoostRaft
internal import RoostWire

/// What the search looks at in a node, so that it rarely has to look at the node itself.
struct ExploredFacts {
  let id: NodeID
  let term: UInt64
  let durableTerm: UInt64
  let isLeader: Bool
  let isCandidate: Bool
  let memory: ExploredLogs.Number
  let disk: ExploredLogs.Number
  let committed: ExploredLogs.Number
  let votes: Bool

  init(_ node: ExploredNode, _ logs: inout ExploredLogs) {
    let core = node.core
    id = node.id
    term = core.term.rawValue
    durableTerm = node.disk.hardState.term.rawValue
    isLeader = core.isLeader
    isCandidate = core.role == .candidate
    memory = logs.memory(of: node)
    disk = logs.disk(of: node)
    committed = logs.prefix(of: memory, length: core.commitIndex.rawValue)
    votes = core.membership.isVoter(core.id)
  }
}

/// What the search looks at in a message.
struct ExploredPacketFacts {
  enum Kind {
    /// An answer that only a candidate or leader of the message's term can use.
    case answer
    /// An answer that changes nothing but, perhaps, the receiver's term.
    case hint
    case preVoteAnswer(attempt: UInt64)
    case preVoteRequest(attempt: UInt64)
    case request
  }

  let sender: Int
  let recipient: Int
  let term: UInt64
  let kind: Kind

  init(_ packet: ExploredPacket) {
    sender = Int(packet.sender.rawValue) - 1
    recipient = Int(packet.recipient.rawValue) - 1
    term = packet.message.term.rawValue
    let origin = ExplorationModel.moment.nanoseconds
    switch packet.message.body {
    case .voteReply(granted: false), .newerTerm, .preVoteReply(_, granted: false): kind = .hint
    case .voteReply, .accepted, .rejected, .snapshotReceived: kind = .answer
    case .preVoteReply(let round, _): kind = .preVoteAnswer(attempt: round - origin)
    case .preVoteRequest(let request): kind = .preVoteRequest(attempt: request.round - origin)
    case .voteRequest, .append, .heartbeat, .campaignNow, .snapshotChunk, .readRequest, .readReply,
      .readRefused:
      kind = .request
    }
  }

  /// Whether the message will never make a difference again, or only by telling of a newer term in a
  /// term that both ends have left for good.
  func isSpent(_ sender: ExploredFacts, _ recipient: ExploredFacts) -> Bool {
    switch kind {
    case .answer:
      guard recipient.durableTerm >= term else { return false }
      return recipient.term > term || !(recipient.isLeader || recipient.isCandidate)
    case .hint: return recipient.durableTerm >= term
    case .preVoteAnswer(let attempt):
      return recipient.durableTerm >= term && recipient.durableTerm > attempt
    case .preVoteRequest(let attempt): return sender.durableTerm > attempt
    case .request: return recipient.durableTerm > term && sender.durableTerm > term
    }
  }
}

/// What a step leads to, with nodes and messages by their numbers.
struct ExploredTransition {
  let node: UInt32
  let firstPacket: UInt32
  let packetCount: UInt32
  /// Where more is said about it; 0 if there is nothing to say.
  let finding: UInt32
}

/// What a step does beside changing a node and sending messages.
struct ExploredFinding {
  var commits: [ExploredStep.Commit]
  var readsReady: [ReadyRead]
  var breach: String?
}

/// Every node, message and step that the search has met, each with a number.
///
/// The core is a value: the same node and the same input give the same answer. So the shipped code runs
/// once for each pair of them, and its answers are remembered. The search itself moves numbers.
struct ExploredPlaces {
  let model: ExplorationModel
  let renamings: [[UInt64]]
  var logs = ExploredLogs()

  private(set) var nodes: [ExploredNode] = []
  private(set) var facts: [ExploredFacts] = []
  /// For each node its hash under each renaming.
  private(set) var nodeHashes: [UInt64] = []
  private var nodeNumbers = ExploredTable()

  private(set) var packets: [ExploredPacket] = []
  private(set) var packetFacts: [ExploredPacketFacts] = []
  private(set) var packetHashes: [UInt64] = []
  private var packetNumbers = ExploredTable()

  private(set) var transitions: [ExploredTransition] = []
  private(set) var sent: [UInt32] = []
  private(set) var findings: [ExploredFinding] = [
    ExploredFinding(commits: [], readsReady: [], breach: nil)
  ]
  private var deliveries = ExploredTable(capacity: 1 << 16)
  /// For each node its moves once they were asked for: where the first is among `moves`.
  private var firstMoves: [UInt32?] = []
  private var moveCounts: [Int] = []
  private(set) var moves: [(move: ExploredMove, transition: UInt32)] = []

  init(_ model: ExplorationModel) {
    self.model = model
    renamings = model.renamings
  }

  // MARK: Numbers

  mutating func number(of node: ExploredNode) -> UInt32 {
    let hash = Self.hash(node)
    if let known = nodeNumbers[hash] { return known }
    let number = UInt32(nodes.count)
    nodeNumbers.add(hash, number)
    nodes.append(node)
    facts.append(ExploredFacts(node, &logs))
    firstMoves.append(nil)
    moveCounts.append(0)
    for names in renamings {
      nodeHashes.append(Self.hash(node.renamed { $0 == .zero ? $0 : Self.name($0, names) }))
    }
    return number
  }

  mutating func number(of packet: ExploredPacket) -> UInt32 {
    let hash = Self.hash(packet)
    if let known = packetNumbers[hash] { return known }
    let number = UInt32(packets.count)
    packetNumbers.add(hash, number)
    packets.append(packet)
    packetFacts.append(ExploredPacketFacts(packet))
    for names in renamings {
      let renamed = ExploredPacket(
        sender: Self.name(packet.sender, names),
        recipient: Self.name(packet.recipient, names),
        message: packet.message
      )
      packetHashes.append(Self.hash(renamed))
    }
    return number
  }

  private static func name(_ id: NodeID, _ names: [UInt64]) -> NodeID {
    NodeID(names[Int(id.rawValue) - 1])
  }

  /// What is held for nodes, messages and steps, about.
  var byteCount: Int {
    nodes.count * (MemoryLayout<ExploredNode>.stride + 1500) + packets.count * 400
      + transitions.count * 40 + moves.count * 40
  }

  private static func hash<Value: Hashable>(_ value: Value) -> UInt64 {
    var hasher = Hasher()
    hasher.combine(value)
    return UInt64(bitPattern: Int64(hasher.finalize()))
  }

  // MARK: Steps

  mutating func delivery(of packet: UInt32, to node: UInt32) -> UInt32 {
    let key = Self.mix(UInt64(node) << 32 | UInt64(packet))
    if let known = deliveries[key] { return known }
    var step = ExploredStep(from: nodes[Int(node)], in: model)
    step.deliver(packets[Int(packet)])
    let number = add(step)
    deliveries.add(key, number)
    return number
  }

  /// Where the node's moves are in ``moves``.
  mutating func moves(of node: UInt32) -> Range<Int> {
    let place = Int(node)
    if let first = firstMoves[place] { return Int(first)..<(Int(first) + moveCounts[place]) }
    let possible = nodes[place].moves(in: model)
    let first = moves.count
    for move in possible { moves.append((move, outcome(of: move, at: node))) }
    firstMoves[place] = UInt32(first)
    moveCounts[place] = possible.count
    return first..<moves.count
  }

  /// What the move leads to, whether or not the model lets it happen.
  mutating func outcome(of move: ExploredMove, at node: UInt32) -> UInt32 {
    var step = ExploredStep(from: nodes[Int(node)], in: model)
    step.make(move, logs: &logs)
    return add(step)
  }

  private mutating func add(_ step: ExploredStep) -> UInt32 {
    let node = number(of: step.node)
    let first = UInt32(sent.count)
    for packet in step.packets { sent.append(number(of: packet)) }
    var finding: UInt32 = 0
    if !step.commits.isEmpty || !step.readsReady.isEmpty || step.breach != nil {
      finding = UInt32(findings.count)
      findings.append(
        ExploredFinding(commits: step.commits, readsReady: step.readsReady, breach: step.breach)
      )
    }
    transitions.append(
      ExploredTransition(
        node: node,
        firstPacket: first,
        packetCount: UInt32(step.packets.count),
        finding: finding
      )
    )
    return UInt32(transitions.count - 1)
  }

  /// Spreads a number over 64 bits; different numbers stay different.
  static func mix(_ number: UInt64) -> UInt64 {
    var mixed = number &+ 0x9E37_79B9_7F4A_7C15
    mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
    return mixed ^ mixed >> 31
  }
}
