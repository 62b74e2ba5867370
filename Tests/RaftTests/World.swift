import RoostRaft
import RoostWire

/// A cluster in one value: nodes with disks, and a wire between them, moved by hand or by dice.
///
/// It performs effects as a shell would, and judges them as nobody could from inside: the first breach
/// of a safety property is kept in ``violation``.
struct World {
  private let start = Instant(nanoseconds: 1_000_000_000)
  var now = Instant(nanoseconds: 1_000_000_000)
  var nodes: [Node] = []
  var wire: [Packet] = []
  var settings: Settings
  var random: SplitMix64
  var judge = Judge()
  var violation: String?
  /// How often the rare things happened, so that a mix that never meets one is noticed.
  var coverage = Coverage()
  /// Whether writes are sometimes held back, as a shell does that waits for the one under way.
  var gathersWrites = false
  /// Whether nodes save a snapshot when their core wants a newer one.
  var savesWhenAsked = false
  /// Told of everything that happens, for scripts.
  var trace: [String]?
  #if PLANTED_BUGS
  var flaw: Flaw?
  #endif

  struct Packet: Hashable {
    let sender: NodeID
    let recipient: NodeID
    let message: Message
  }

  /// What survives a crash.
  struct Disk {
    var incarnation: Incarnation
    var hardState = HardState()
    var mark: SnapshotMark
    var entries: [Entry] = []
    var snapshot: SnapshotDescriptor?
    var promised = LogPosition.start
    /// A snapshot that had come in part when the node stopped.
    var incoming: IncomingSnapshot?

    init(incarnation: Incarnation, mark: SnapshotMark) {
      self.incarnation = incarnation
      self.mark = mark
    }

    mutating func perform(_ write: Write) {
      perform(write, entryCount: write.entries.count)
      if let hardState = write.hardState { self.hardState = hardState }
    }

    /// As much of a write as a crash left: some of its entries, and not what comes behind them.
    mutating func perform(_ write: Write, entryCount: Int) {
      if let restart = write.restart {
        mark = restart.mark
        snapshot = restart
        incoming = nil
        entries = []
      }
      if let first = write.truncateFrom { entries.removeAll { $0.index >= first } }
      entries += write.entries.prefix(entryCount)
    }

    /// What the disk has at the index: an entry, or the end of a snapshot.
    func position(at index: LogIndex) -> LogPosition? {
      if index == mark.index { return mark.position }
      return entries.first { $0.index == index }?.position
    }

    var restored: Restored {
      Restored(
        incarnation: incarnation,
        hardState: hardState,
        mark: mark,
        entries: entries,
        snapshot: snapshot,
        incoming: incoming.flatMap { $0.snapshot.mark.index > mark.index ? $0 : nil },
        promised: promised
      )
    }
  }

  /// A clock of a machine: it began at some time, and runs a little fast or slow.
  struct Clock {
    var offset: UInt64 = 0
    /// How much faster than the world's, in thousandths.
    var gain: Int64 = 0

    func shown(at moment: Instant) -> Instant {
      guard gain != 0 else { return moment.advanced(byNanoseconds: offset) }
      let rate = UInt64(1000 + gain)
      return Instant(nanoseconds: offset + moment.nanoseconds / 1000 * rate)
    }

    /// The first moment of the world at which the clock shows this.
    func moment(showing shown: Instant) -> Instant {
      let passed = shown.nanoseconds > offset ? shown.nanoseconds - offset : 0
      guard gain != 0 else { return Instant(nanoseconds: passed) }
      let rate = UInt64(1000 + gain)
      return Instant(nanoseconds: (passed / rate + 1) * 1000)
    }
  }

  struct Node {
    let id: NodeID
    var clock = Clock()
    var core: Consensus?
    var disk: Disk
    /// What the node asked for and was not done: a write that later turns go on adding to.
    var effects = Effects()
    /// Handed to the disk and not yet answered.
    var writes: [Write] = []
    var applied: LogIndex
    var partOfSnapshot: [UInt8] = []
    /// The snapshot that the part is of.
    var incoming: SnapshotDescriptor?

    var isWriting: Bool { core != nil && !(writes.isEmpty && effects.write.isEmpty) }

    /// Hands what has gathered to the disk.
    mutating func submit() {
      if !effects.write.isEmpty { writes.append(effects.write) }
      effects.removeAll()
    }
  }

  init(settings: Settings = Settings(), seed: UInt64 = 1) {
    self.settings = settings
    random = SplitMix64(seed: seed)
  }

  /// A cluster of voters 1, 2, 3 and so on, founded and started.
  init(voters count: UInt64, settings: Settings = Settings(), seed: UInt64 = 1) {
    self.init(settings: settings, seed: seed)
    let membership = Membership(voters: (1...count).map { NodeID($0) })
    for id in 1...count { add(NodeID(id), SnapshotMark(founding: membership)) }
  }

  mutating func add(
    _ id: NodeID,
    _ mark: SnapshotMark,
    incarnation: Incarnation = .zero,
    clock: Clock? = nil
  ) {
    let disk = Disk(incarnation: incarnation, mark: mark)
    let clock = clock ?? slot(id).map { nodes[$0].clock } ?? Clock()
    nodes.removeAll { $0.id == id }
    nodes.append(Node(id: id, clock: clock, disk: disk, applied: mark.index))
    nodes.sort { $0.id < $1.id }
    restart(id)
  }

  func slot(_ id: NodeID) -> Int? { nodes.firstIndex { $0.id == id } }

  subscript(id: UInt64) -> Consensus {
    guard let slot = slot(NodeID(id)), let core = nodes[slot].core else {
      preconditionFailure("node \(id) is up")
    }
    return core
  }

  #if PLANTED_BUGS
  /// Gives all nodes the same mistake.
  mutating func plant(_ flaw: Flaw) {
    self.flaw = flaw
    for slot in nodes.indices { nodes[slot].core = nodes[slot].core?.planted(flaw) }
  }
  #endif

  // MARK: Inputs

  /// Gives an input to a node and performs what it asks for.
  @discardableResult
  mutating func act<Result>(
    _ id: NodeID,
    _ input: (inout Consensus, inout Effects) -> Result
  ) -> Result? {
    guard let slot = slot(id), nodes[slot].core != nil else { return nil }
    // Taken out while it works, so that there is one copy.
    guard var core = nodes[slot].core.take() else { return nil }
    let result = input(&core, &nodes[slot].effects)
    nodes[slot].core = core
    let effects = nodes[slot].effects
    nodes[slot].effects.removeAllButWrite()
    if !(gathersWrites && random.chance(2, in: 3)) { nodes[slot].submit() }
    perform(effects, of: slot)
    return result
  }

  mutating func tick(_ id: NodeID) {
    let now = now(of: id)
    act(id) { $0.tick(now: now, into: &$1) }
  }

  mutating func expireTimer(_ id: NodeID) {
    let now = now(of: id)
    act(id) { $0.expireTimer(now: now, into: &$1) }
  }

  @discardableResult
  mutating func propose(_ id: NodeID, _ payload: String) -> LogPosition? {
    let now = now(of: id)
    return act(id) { core, effects in
      try? core.propose([UInt8](payload.utf8), now: now, into: &effects)
    }.flatMap { $0 }
  }

  mutating func deliver(_ packet: Packet) {
    let now = now(of: packet.recipient)
    act(packet.recipient) { $0.step(packet.message, from: packet.sender, now: now, into: &$1) }
  }

  /// The oldest write of a node reaches its disk.
  mutating func sync(_ id: NodeID) {
    guard let slot = slot(id), nodes[slot].isWriting else { return }
    if nodes[slot].writes.isEmpty { nodes[slot].submit() }
    let write = nodes[slot].writes.removeFirst()
    nodes[slot].disk.perform(write)
    let now = now(of: id)
    act(id) { $0.didPersist(through: write.ticket, now: now, into: &$1) }
  }

  /// What a crash leaves of the writes that were under way, and of a snapshot that came in part.
  enum Remains {
    case nothing, anything
  }

  /// Ends a node; of a snapshot that came in part, `part` bytes stay at most.
  mutating func crash(_ id: NodeID, keeping remains: Remains = .anything, part limit: UInt64? = nil)
  {
    guard let slot = slot(id), nodes[slot].core != nil else { return }
    nodes[slot].core = nil
    let part = UInt64(nodes[slot].partOfSnapshot.count)
    var kept = min(part, limit ?? part)
    if remains == .anything {
      performSome(of: nodes[slot].writes, on: slot)
      if part > 0 { kept = random.below(part + 1) }
    }
    nodes[slot].disk.incoming = nodes[slot].incoming.flatMap {
      kept > 0 ? IncomingSnapshot(snapshot: $0, byteCount: kept) : nil
    }
    nodes[slot].writes = []
    nodes[slot].effects = Effects()
    judge.forgetReads(of: id)
  }

  /// The first writes in full, and perhaps a part of the next.
  private mutating func performSome(of writes: [Write], on slot: Int) {
    for write in writes {
      guard random.chance(1, in: 2) else {
        let count = random.below(UInt64(write.entries.count) + 1)
        if random.chance(1, in: 2) { nodes[slot].disk.perform(write, entryCount: Int(count)) }
        return
      }
      nodes[slot].disk.perform(write)
    }
  }

  mutating func restart(_ id: NodeID) {
    guard let slot = slot(id), nodes[slot].core == nil else { return }
    var core = Consensus(
      id: id,
      settings: settings,
      restored: nodes[slot].disk.restored,
      random: random.split(),
      now: now(of: id)
    )
    #if PLANTED_BUGS
    if let flaw { core = core.planted(flaw) }
    #endif
    nodes[slot].applied = nodes[slot].disk.mark.index
    let part = nodes[slot].disk.restored.incoming
    nodes[slot].incoming = part?.snapshot
    nodes[slot].partOfSnapshot =
      part.map { Array(Self.bytes(of: $0.snapshot).prefix(Int($0.byteCount))) } ?? []
    nodes[slot].core = core
  }

  // MARK: Effects

  private mutating func perform(_ effects: Effects, of slot: Int) {
    let id = nodes[slot].id
    trace?.append(contentsOf: Story.lines(effects, of: nodes[slot]))
    for envelope in effects.messages {
      wire.append(Packet(sender: id, recipient: envelope.recipient, message: envelope.message))
    }
    if let loaded = effects.snapshotToLoad { nodes[slot].applied = loaded.mark.index }
    guard let core = nodes[slot].core else { return }
    coverage.see(core, effects)
    // The fastest clock may have led all the time.
    let elapsed = now.nanoseconds(since: start) / 1000 * 1006
    if let found = judge.see(core, effects, disk: nodes[slot].disk, elapsed: elapsed) {
      violation = violation ?? found
    }
    nodes[slot].applied = max(nodes[slot].applied, core.commitIndex)
    performSnapshots(effects, of: slot)
  }

  private mutating func performSnapshots(_ effects: Effects, of slot: Int) {
    let id = nodes[slot].id
    let now = now(of: id)
    for read in effects.snapshotReads {
      let bytes = Self.bytes(of: read.snapshot)
      let isThere = nodes[slot].disk.snapshot == read.snapshot
      let start = Int(read.offset)
      let part = Array(bytes[start..<(start + read.byteCount)])
      act(id) { $0.didReadSnapshot(read, bytes: isThere ? part : nil, now: now, into: &$1) }
    }
    for chunk in effects.snapshotChunks {
      if chunk.offset == 0 { nodes[slot].partOfSnapshot = [] }
      nodes[slot].incoming = chunk.snapshot
      nodes[slot].partOfSnapshot += chunk.bytes
    }
    if effects.snapshotIsWanted, savesWhenAsked { saveSnapshot(id) }
    if let whole = effects.snapshotToCheck {
      let isValid = nodes[slot].partOfSnapshot == Self.bytes(of: whole)
      nodes[slot].partOfSnapshot = []
      act(id) { $0.didReceiveSnapshot(whole, isValid: isValid, now: now, into: &$1) }
    }
  }

  /// A node's snapshot of what it has applied; the log keeps `kept` entries before it.
  mutating func saveSnapshot(_ id: NodeID, keeping kept: UInt64 = 0) {
    guard let slot = slot(id), let core = nodes[slot].core, core.durableIndex >= core.commitIndex,
      !nodes[slot].isWriting, core.commitIndex > core.snapshot?.mark.index ?? .zero,
      let mark = core.mark(at: core.commitIndex)
    else { return }
    let saved = SnapshotDescriptor(mark: mark, byteCount: 20, checksum: mark.index.rawValue)
    nodes[slot].disk.mark = mark
    nodes[slot].disk.snapshot = saved
    let through = LogIndex(mark.index.rawValue - min(kept, mark.index.rawValue))
    act(id) { core, _ in
      core.didSaveSnapshot(saved)
      core.compact(through: through)
    }
    nodes[slot].disk.entries.removeAll { $0.index <= through }
  }

  private static func bytes(of snapshot: SnapshotDescriptor) -> [UInt8] {
    (0..<snapshot.byteCount).map { UInt8(truncatingIfNeeded: $0 &+ snapshot.mark.index.rawValue) }
  }

  // MARK: Runs

  /// Delivers and syncs until nothing is under way.
  ///
  /// What `isLost` says does not arrive.
  mutating func settle(losing isLost: (Packet) -> Bool = { _ in false }) {
    var budget = 20_000
    while budget > 0 {
      budget -= 1
      if !wire.isEmpty {
        let packet = wire.removeFirst()
        if !isLost(packet) { deliver(packet) }
      } else if let busy = nodes.first(where: \.isWriting) {
        sync(busy.id)
      } else {
        return
      }
    }
    violation = violation ?? "the cluster never comes to rest"
  }

  /// Lets time pass; messages and disks are as fast as can be.
  mutating func run(for duration: Duration, losing isLost: (Packet) -> Bool = { _ in false }) {
    let end = now.advanced(by: duration)
    settle(losing: isLost)
    while true {
      let deadlines = nodes.compactMap { node in
        node.core.map { node.clock.moment(showing: $0.nextDeadline) }
      }
      guard let next = deadlines.min(), next <= end else { break }
      now = max(now, next)
      for id in nodes.map(\.id) where isDue(id) { tick(id) }
      settle(losing: isLost)
    }
    now = end
  }

  /// Whether the node's own clock has reached its deadline.
  func isDue(_ id: NodeID) -> Bool {
    guard let slot = slot(id), let core = nodes[slot].core else { return false }
    return core.nextDeadline <= now(of: id)
  }

  /// What the node's own clock shows.
  func now(of id: NodeID) -> Instant {
    slot(id).map { nodes[$0].clock.shown(at: now) } ?? now
  }

  var leaders: [NodeID] { nodes.compactMap { $0.core?.isLeader == true ? $0.id : nil } }

  /// The leader of the newest term.
  var leader: NodeID? {
    nodes.compactMap(\.core).filter(\.isLeader).max { $0.term < $1.term }?.id
  }
}
