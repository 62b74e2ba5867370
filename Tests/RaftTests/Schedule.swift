import RoostRaft
import RoostWire

/// A random life of a small cluster, all of it drawn from one seed.
///
/// Messages are delivered in any order, twice or never; disks are slow; nodes crash with writes half
/// done, restart, sleep, lose their journals, join and leave. Afterwards everything heals, and the
/// cluster must find together again.
struct Schedule {
  /// Nodes that there are; the founders come first.
  private static let pool: UInt64 = 6

  var world: World
  private var random: SplitMix64
  private var nextRead: UInt64 = 1
  private var nextIncarnation: UInt64 = 1
  private var asleep: Set<NodeID> = []
  /// Who can't reach whom at present.
  private var cut: Set<Link> = []
  private let founderCount: UInt64

  private struct Link: Hashable {
    let sender: NodeID
    let recipient: NodeID
  }

  init(seed: UInt64) {
    random = SplitMix64(seed: seed)
    var settings = random.chance(1, in: 2) ? Settings.tiny : Settings()
    settings.leaseReads = random.chance(1, in: 4)
    world = World(settings: settings, seed: random.next())
    world.gathersWrites = random.chance(1, in: 2)
    world.savesWhenAsked = true
    let count = [1, 2, 3, 3, 3, 4, 5][Int(random.below(7))] as UInt64
    founderCount = count
    let founders = (1...count).map { id in
      Member(NodeID(id), priority: UInt8(id == 1 ? 1 : random.below(3)))
    }
    let founding = SnapshotMark(founding: Membership(founding: founders))
    for id in 1...Self.pool {
      let mark = id <= count ? founding : SnapshotMark(founding: .none)
      let offset = random.below(1 << 40)
      let clock = World.Clock(offset: offset, gain: Int64(random.below(11)) - 5)
      world.add(NodeID(id), mark, clock: clock)
    }
    world.run(for: .seconds(2))
  }

  /// Runs the life and what follows; the answer is the first promise that was broken.
  mutating func run(steps: Int) -> String? {
    for _ in 0..<steps {
      act()
      if let violation = world.violation { return violation }
    }
    return heal()
  }

  /// Mostly a founder: the others have little to do with most lives.
  private mutating func anyNode() -> NodeID {
    NodeID(1 + random.below(random.chance(3, in: 4) ? founderCount : Self.pool))
  }

  private mutating func act() {
    switch random.below(100) {
    case 0..<36: for _ in 0...random.below(6) { deliver() }
    case 36..<54: sync()
    case 54..<66: passTime()
    case 66..<74: propose()
    case 74..<79: read()
    case 79, 80: world.crash(anyNode())
    case 81..<84: world.restart(anyNode())
    case 84, 85: world.saveSnapshot(anyNode(), keeping: random.below(4))
    case 86: forget()
    case 87: change()
    case 88: transfer()
    case 89: sleep()
    case 90: if random.chance(1, in: 8) { loseJournal() }
    // A timer that runs out early breaks what leases assume of clocks.
    case 91..<93: if !world.settings.leaseReads { world.expireTimer(anyNode()) }
    case 93..<95: cutLinks()
    case 95..<98: recover()
    default: quieten()
    }
  }

  private mutating func forget() {
    let node = anyNode()
    let (now, kept) = (world.now, Int(random.below(200)))
    world.act(node) { core, _ in core.forget(keeping: kept, through: core.commitIndex, now: now) }
  }

  /// The disk of a node that has something to write, or sometimes of all of them, is done.
  private mutating func sync() {
    let busy = world.nodes.filter(\.isWriting).map(\.id)
    guard !busy.isEmpty else { return }
    if random.chance(1, in: 4) {
      for node in busy { world.sync(node) }
    } else {
      world.sync(busy[Int(random.below(UInt64(busy.count)))])
    }
  }

  private mutating func recover() {
    cut = []
    asleep = []
  }

  private mutating func deliver() {
    guard !world.wire.isEmpty else { return }
    // Mostly in order, as connections do.
    let count = UInt64(world.wire.count)
    let place = Int(random.chance(3, in: 4) ? 0 : random.below(count))
    let packet = world.wire[place]
    let dice = random.below(20)
    if dice > 0 { world.wire.remove(at: place) }
    if dice != 1, !isCut(packet) { world.deliver(packet) }
  }

  private func isCut(_ packet: World.Packet) -> Bool {
    cut.contains(Link(sender: packet.sender, recipient: packet.recipient))
  }

  /// All that is under way arrives, as far as it can.
  private mutating func quieten() {
    let schedule = self
    world.settle { schedule.isCut($0) }
  }

  private mutating func cutLinks() {
    if random.chance(1, in: 2), let leader = world.leader {
      for id in 1...Self.pool {
        cut.insert(Link(sender: leader, recipient: NodeID(id)))
        if random.chance(2, in: 3) { cut.insert(Link(sender: NodeID(id), recipient: leader)) }
      }
    } else {
      for _ in 0...random.below(6) { cut.insert(Link(sender: anyNode(), recipient: anyNode())) }
    }
  }

  private mutating func passTime() {
    let most: UInt64 = random.chance(1, in: 6) ? 500 : 40
    world.now = world.now.advanced(byNanoseconds: random.below(most * 1_000_000))
    for node in world.nodes.map(\.id) where !asleep.contains(node) && world.isDue(node) {
      world.tick(node)
    }
  }

  /// To any leader, a deposed one too.
  private mutating func propose() {
    let leaders = world.leaders
    guard !leaders.isEmpty else { return }
    let leader = leaders[Int(random.below(UInt64(leaders.count)))]
    world.propose(leader, "p\(random.below(100))")
  }

  private mutating func sleep() {
    let node = anyNode()
    if asleep.remove(node) == nil { asleep.insert(node) }
  }

  /// Often at a node that believes to lead: where it is wrong, the answer may be.
  private mutating func read() {
    let leaders = world.leaders
    let node =
      leaders.isEmpty || random.chance(1, in: 2)
      ? anyNode() : leaders[Int(random.below(UInt64(leaders.count)))]
    guard let slot = world.slot(node), world.nodes[slot].core != nil else { return }
    let id = ReadID(nextRead)
    nextRead += 1
    world.judge.didBeginRead(id, at: node)
    let now = world.now(of: node)
    world.act(node) { $0.read(id, now: now, into: &$1) }
  }

  private mutating func change() {
    guard let leader = world.leader, let slot = world.slot(leader),
      let core = world.nodes[slot].core
    else { return }
    var members: [Member] = []
    for id in 1...Self.pool {
      let goal: Goal
      switch random.below(4) {
      case 0, 1: goal = .voter
      case 2: goal = .learner
      default: continue
      }
      let incarnation = world.slot(NodeID(id)).map { world.nodes[$0].disk.incarnation } ?? .zero
      members.append(
        Member(
          NodeID(id),
          goal: goal,
          incarnation: incarnation,
          priority: UInt8(random.below(3))
        )
      )
    }
    let now = world.now(of: leader)
    world.act(leader) { node, effects in
      _ = try? node.change(
        to: members,
        ifVersion: core.membership.version,
        now: now,
        into: &effects
      )
    }
  }

  private mutating func transfer() {
    guard let leader = world.leader else { return }
    let target = random.chance(1, in: 2) ? anyNode() : nil
    let now = world.now(of: leader)
    world.act(leader) { try? $0.transferLeadership(to: target, now: now, into: &$1) }
  }

  /// A node comes back with an empty disk.
  ///
  /// At most two do: a third could end any cluster.
  private mutating func loseJournal() {
    guard nextIncarnation <= 2 else { return }
    let node = anyNode()
    world.crash(node)
    world.add(node, SnapshotMark(founding: .none), incarnation: Incarnation(nextIncarnation))
    nextIncarnation += 1
  }

  // MARK: Afterwards

  private mutating func heal() -> String? {
    recover()
    for node in world.nodes { world.restart(node.id) }
    var finding: String? = "not run"
    for _ in 0..<25 where finding != nil {
      world.run(for: .seconds(1))
      if let violation = world.violation { return violation }
      if let leader = world.leader { world.propose(leader, "last") }
      for _ in 0..<3 { read() }
      world.run(for: .milliseconds(200))
      if let violation = world.violation { return violation }
      finding = judgeHealed()
    }
    return finding
  }

  private func judgeHealed() -> String? {
    guard let leader = world.leader, let core = world.slot(leader).flatMap({ world.nodes[$0].core })
    else { return hasQuorum() ? "nobody leads, and a quorum lives" : nil }
    guard core.commitIndex == core.lastIndex else { return "not all is committed" }
    if core.membership.phase == .joint { return "the joint phase never ends" }
    for member in core.membership.members {
      guard let slot = world.slot(member.id), let other = world.nodes[slot].core,
        other.incarnation == member.incarnation
      else { continue }
      if other.commitIndex != core.commitIndex { return "\(member.id) does not catch up" }
      if other.leader != leader { return "\(member.id) does not follow" }
    }
    return nil
  }

  /// Whether the voters that lived on could elect somebody, by the newest membership anyone has.
  private func hasQuorum() -> Bool {
    let newest = world.nodes.compactMap(\.core).max {
      $0.membership.version < $1.membership.version
    }
    guard let membership = newest?.membership else { return false }
    return membership.hasQuorum { id in
      guard let slot = world.slot(id) else { return false }
      return world.nodes[slot].core?.incarnation == membership[id]?.incarnation
    }
  }
}
