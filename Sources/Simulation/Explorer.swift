internal import RoostRaft
internal import RoostWire

/// Goes through every state that a small cluster can get into, breadth first, and judges each.
///
/// It runs the shipped `Consensus`: a message, a write that reaches the disk, a crash, a timer or a
/// request is given to a node, and what the node asks for becomes new messages and writes. States that
/// are equal, or would be if the nodes changed names, are gone on from once. What it found first took the
/// fewest events, and is told as a story.
///
/// It has no clock and no threads: ``explore(atMost:)`` goes a part of the way, and the caller decides
/// about time and memory.
package struct Explorer {
  package let model: ExplorationModel
  var places: ExploredPlaces
  var histories: [ExploredHistory] = []
  private var historyNumbers: [ExploredHistory: UInt32] = [:]
  private(set) var states = ExploredStates()
  private var queue = ExploredQueue()
  private var record: [UInt32] = []

  /// The state that is gone on from, and the one after an event.
  var current = ExploredCluster()
  var next = ExploredCluster()
  /// What the event's messages add to those under way.
  private var added: [UInt32] = []
  /// Where the search begins: after the prologue.
  private(set) var start = ExploredCluster()

  package private(set) var eventCount = 0
  /// States that were not gone on from because too much was under way.
  package private(set) var crowdedCount = 0
  package private(set) var depth = 0
  private var leftInLevel = 0
  private var situations = ExploredTable()
  package private(set) var violation: Violation?

  /// A rule that was broken, and how it came to that.
  package struct Violation: Sendable {
    package let sentence: String
    /// One line an event, from the first state on.
    package let story: [String]
  }

  package init(_ model: ExplorationModel) {
    self.model = model
    places = ExploredPlaces(model)
    current.nodes = (1...UInt64(model.nodeCount)).map {
      places.number(of: ExploredNode(NodeID($0), in: model))
    }
    current.history = number(of: ExploredHistory())
    play(model.prologue)
    start = current
    _ = states.insert(hash(of: current), parent: 0, action: 0)
    push(current)
    leftInLevel = 1
  }

  package var stateCount: Int { states.count }
  /// How many states differ in more than the messages under way and the nodes' names.
  package var situationCount: Int { situations.count }
  package var frontierCount: Int { queue.count }
  package var isExhausted: Bool { queue.count == 0 }
  package var nodeStateCount: Int { places.nodes.count }
  package var messageCount: Int { places.packets.count }
  /// How often the shipped code was run.
  package var stepCount: Int { places.transitions.count }
  /// The memory that is held for states, about; nodes, messages and their steps come on top.
  package var byteCount: Int { states.byteCount + queue.byteCount + places.byteCount }

  /// Goes on from up to `count` states; false if nothing is left, or a rule is broken.
  package mutating func explore(atMost count: Int) -> Bool {
    for _ in 0..<count {
      guard violation == nil, queue.removeFirst(into: &record) else { return false }
      if leftInLevel == 0 {
        leftInLevel = queue.count + 1
        depth += 1
      }
      leftInLevel -= 1
      current.read(record, nodeCount: model.nodeCount)
      expand()
    }
    return violation == nil && !isExhausted
  }

  private mutating func expand() {
    for slot in 0..<model.nodeCount {
      for place in places.moves(of: current.nodes[slot]) {
        let (move, transition) = places.moves[place]
        let action = ExploredAction(.move(place))
        follow(
          ExploredEvent(slot: slot, transition: transition, price: move.price, action: action)
        )
      }
    }
    for place in 0..<current.packets.count {
      follow(delivery(of: place))
      if model.duplicateLimit > 0 { follow(delivery(of: place, again: true)) }
    }
  }

  mutating func delivery(of place: Int, again: Bool = false) -> ExploredEvent {
    let packet = current.packets[place]
    let slot = places.packetFacts[Int(packet)].recipient
    return ExploredEvent(
      slot: slot,
      transition: places.delivery(of: packet, to: current.nodes[slot]),
      delivered: place,
      isKept: again,
      price: again ? .duplicate : .nothing,
      action: ExploredAction(again ? .duplicate(packet) : .delivery(packet))
    )
  }

  private mutating func follow(_ event: ExploredEvent) {
    guard violation == nil else { return }
    eventCount += 1
    var breach: String?
    guard take(event, &breach) else { return }
    let found = states.insert(hash(of: next), parent: current.state, action: event.action.rawValue)
    guard found != nil || breach != nil else { return }
    breach = breach ?? self.breach(after: event.slot)
    if let breach {
      let path = states.path(to: current.state) + [event.action.rawValue]
      violation = Violation(sentence: breach, story: story(path))
    } else if let found {
      next.state = found
      push(next)
    }
  }

  private mutating func countSituation(_ cluster: ExploredCluster) {
    guard model.countsSituations else { return }
    var bare = ExploredCluster()
    bare.history = cluster.history
    bare.nodes = cluster.nodes
    let key = hash(of: bare, renamings: places.renamings.count)
    if situations[key] == nil { situations.add(key, 0) }
  }

  private mutating func push(_ cluster: ExploredCluster) {
    guard cluster.packets.count <= model.messageLimit else {
      crowdedCount += 1
      return
    }
    countSituation(cluster)
    cluster.write(to: &record)
    queue.append(record)
  }

  // MARK: One event

  /// Makes ``next`` of ``current``; false if the event may not happen, or changes nothing.
  ///
  /// That a message is used up is not a change: whatever can happen without it can happen with it.
  mutating func take(_ event: ExploredEvent, _ breach: inout String?) -> Bool {
    let transition = places.transitions[Int(event.transition)]
    let before = current.nodes[event.slot]
    collect(transition)
    if transition.node == before, added.isEmpty, transition.finding == 0 { return false }

    next.copy(current)
    next.nodes[event.slot] = transition.node
    guard updateHistory(event, transition, &breach) else { return false }
    if let delivered = event.delivered, !event.isKept { next.packets.remove(at: delivered) }
    for packet in added where !isSpent(packet) { next.packets.append(packet) }
    if transition.node != before { dropSpent(event.slot, before) }
    return true
  }

  private mutating func collect(_ transition: ExploredTransition) {
    added.removeAll(keepingCapacity: true)
    let first = Int(transition.firstPacket)
    for place in first..<(first + Int(transition.packetCount)) {
      let packet = places.sent[place]
      if !current.packets.contains(packet), !added.contains(packet) { added.append(packet) }
    }
  }

  private func isSpent(_ packet: UInt32) -> Bool {
    guard model.takesShortcuts else { return false }
    let facts = places.packetFacts[Int(packet)]
    return facts.isSpent(
      places.facts[Int(next.nodes[facts.sender])],
      places.facts[Int(next.nodes[facts.recipient])]
    )
  }

  private mutating func dropSpent(_ slot: Int, _ before: UInt32) {
    let old = places.facts[Int(before)]
    let new = places.facts[Int(next.nodes[slot])]
    guard
      old.term != new.term || old.durableTerm != new.durableTerm || old.isLeader != new.isLeader
        || old.isCandidate != new.isCandidate
    else { return }
    var place = 0
    while place < next.packets.count {
      if isSpent(next.packets[place]) {
        next.packets.remove(at: place)
      } else {
        place += 1
      }
    }
  }

  private mutating func updateHistory(
    _ event: ExploredEvent,
    _ transition: ExploredTransition,
    _ breach: inout String?
  ) -> Bool {
    let old = places.facts[Int(current.nodes[event.slot])]
    let new = places.facts[Int(transition.node)]
    let isElected = new.isLeader && !(old.isLeader && old.term == new.term)
    guard
      event.price != .nothing || transition.finding != 0 || isElected
        || new.committed != old.committed
    else { return true }

    var history = histories[Int(current.history)]
    guard history.pay(event.price, in: model) else { return false }
    if isElected, !history.crown(new.term) {
      breach = "election safety: a second leader in term \(new.term)"
    }
    if new.committed != old.committed, !history.commit(new, places.logs) {
      breach = "state machine safety: \(new.id) committed what nobody else did"
    }
    let finding = places.findings[Int(transition.finding)]
    breach = breach ?? finding.breach
    for commit in finding.commits where model.trustsDisks && !isDurable(commit, new) {
      breach = breach ?? "\(new.id) committed \(commit.index) without a quorum of disks"
    }
    for read in finding.readsReady where !history.answer(read) {
      breach = breach ?? "\(new.id) answered a read with less than was committed when it was asked"
    }
    next.history = number(of: history)
    return true
  }

  mutating func number(of history: ExploredHistory) -> UInt32 {
    if let known = historyNumbers[history] { return known }
    let number = UInt32(histories.count)
    histories.append(history)
    historyNumbers[history] = number
    return number
  }

  /// The same for all states that are equal but for the nodes' names.
  private func hash(of cluster: ExploredCluster) -> UInt64 {
    hash(of: cluster, renamings: model.takesShortcuts ? places.renamings.count : 1)
  }

  private func hash(of cluster: ExploredCluster, renamings: Int) -> UInt64 {
    let width = places.renamings.count
    var least = UInt64.max
    for renaming in 0..<renamings {
      var sum: UInt64 = 0
      for node in cluster.nodes { sum &+= places.nodeHashes[Int(node) * width + renaming] }
      for packet in cluster.packets { sum &+= places.packetHashes[Int(packet) * width + renaming] }
      least = min(least, sum)
    }
    return ExploredPlaces.mix(least ^ ExploredPlaces.mix(UInt64(cluster.history)))
  }
}
