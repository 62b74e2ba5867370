internal import RoostRaft
internal import RoostWire

/// What one thing that happened to one node led to.
struct ExploredStep {
  var node: ExploredNode
  var packets: [ExploredPacket] = []
  /// What the node, as a leader, took to be committed, and who had to agree.
  var commits: [Commit] = []
  var readsReady: [ReadyRead] = []
  /// A rule that the node broke, as can be seen from it alone.
  var breach: String?

  private let model: ExplorationModel

  struct Commit: Hashable {
    let index: LogIndex
    let membership: Membership
  }

  init(from node: ExploredNode, in model: ExplorationModel) {
    self.node = node
    self.model = model
  }

  // MARK: What can happen

  mutating func deliver(_ packet: ExploredPacket) {
    let now =
      switch packet.message.body {
      case .preVoteRequest, .voteRequest: ExplorationModel.lateMoment
      default: ExplorationModel.moment
      }
    act { $0.step(packet.message, from: packet.sender, now: now, into: &$1) }
    syncIfPrompt()
  }

  mutating func make(_ move: ExploredMove, logs: inout ExploredLogs) {
    let now = ExplorationModel.moment
    switch move {
    case .sync: sync()
    case .crash(let writes, let part): crash(writes, part)
    case .damage(let last): damage(after: last)
    case .loseJournal: loseJournal()
    case .timeout: timeOut()
    case .heartbeat:
      node.heartbeatCount += 1
      act { $0.expireTimer(now: now, into: &$1) }
    case .propose: act { _ = try? $0.propose([1], now: now, into: &$1) }
    case .stepDown: act { $0.stepDown(now: now, into: &$1) }
    case .read(let id): act { $0.read(id, now: now, into: &$1) }
    case .askAgain: act { $0.tick(now: ExplorationModel.patientMoment, into: &$1) }
    case .change(let number): change(to: model.changes[number])
    case .transfer(let heir): act { try? $0.transferLeadership(to: heir, now: now, into: &$1) }
    case .snapshot: saveSnapshot(&logs)
    case .snapshotChecked:
      guard let whole = node.checking.take() else { return }
      act { $0.didReceiveSnapshot(whole, isValid: true, now: now, into: &$1) }
    }
    syncIfPrompt()
  }

  private mutating func sync() {
    guard !node.writes.isEmpty else { return }
    let write = node.writes.removeFirst()
    let before = node.disk.hardState
    node.disk.perform(write)
    judgeDisk(before)
    act { $0.didPersist(through: write.ticket.value, now: ExplorationModel.moment, into: &$1) }
  }

  private mutating func syncIfPrompt() {
    guard !model.hasSlowDisks else { return }
    while !node.writes.isEmpty { sync() }
  }

  private mutating func crash(_ count: Int, _ part: Int?) {
    let before = node.disk.hardState
    for write in node.writes.prefix(count) { node.disk.perform(write) }
    if let part { node.disk.perform(node.writes[count], entryCount: part) }
    judgeDisk(before)
    start()
  }

  private mutating func damage(after last: LogIndex) {
    if model.seesDamage, let end = node.disk.entries.last?.position { node.disk.promised = end }
    node.disk.entries.removeAll { $0.index > last }
    start()
  }

  private mutating func loseJournal() {
    let incarnation = Incarnation(node.disk.incarnation.rawValue + 1)
    node.disk = ExploredDisk(incarnation: incarnation, mark: SnapshotMark(founding: .none))
    start()
  }

  private mutating func start() {
    node.writes = []
    node.checking = nil
    node.heartbeatCount = 0
    if model.readLimit > 0 { node.startCount += 1 }
    node.core = ExploredNode.start(
      node.id,
      from: node.disk,
      startCount: node.startCount,
      in: model
    )
  }

  /// The term in the moment names the attempt, as the clock does outside.
  private mutating func timeOut() {
    let now = ExplorationModel.moment.advanced(byNanoseconds: node.core.term.rawValue)
    act { $0.expireTimer(now: now, into: &$1) }
    guard !model.asksPreVotes else { return }
    packets.removeAll { $0.message.isPreVoteRequest }
    for member in node.core.membership.members where node.core.role == .preCandidate {
      let agreed = Message.Body.preVoteReply(round: now.nanoseconds, granted: true)
      let reply = Message(term: node.core.term, incarnation: .zero, body: agreed)
      act { $0.step(reply, from: member.id, now: ExplorationModel.moment, into: &$1) }
    }
  }

  private mutating func change(to change: ExplorationModel.Change) {
    let version = node.core.membership.version
    let now = ExplorationModel.moment
    act { _ = try? $0.change(to: change.members, ifVersion: version, now: now, into: &$1) }
  }

  /// The snapshot's checksum is the history that it holds.
  private mutating func saveSnapshot(_ logs: inout ExploredLogs) {
    guard let mark = node.core.mark(at: node.core.commitIndex) else { return }
    let history = logs.prefix(of: logs.memory(of: node), length: mark.index.rawValue)
    let saved = SnapshotDescriptor(mark: mark, byteCount: 1, checksum: UInt64(history))
    node.disk.mark = mark
    node.disk.snapshot = saved
    node.disk.entries.removeAll { $0.index <= mark.index }
    node.core.didSaveSnapshot(saved)
    node.core.forget(keeping: 0, through: mark.index, now: ExplorationModel.moment)
  }

  // MARK: Effects

  private mutating func act(_ input: (inout Consensus, inout Effects) -> Void) {
    var effects = Effects()
    let before = node.core
    input(&node.core, &effects)
    if !node.core.isLeader { node.heartbeatCount = 0 }
    node.core.standStill(at: ExplorationModel.moment)
    judge(before, effects)
    for envelope in effects.messages {
      packets.append(
        ExploredPacket(sender: node.id, recipient: envelope.recipient, message: envelope.message)
      )
    }
    if !effects.write.isEmpty { node.writes.append(PendingWrite(effects.write)) }
    readsReady += effects.readsReady
    if let whole = effects.snapshotToCheck { node.checking = whole }
    for read in effects.snapshotReads {
      let bytes: [UInt8]? = node.disk.snapshot == read.snapshot ? [0] : nil
      let now = ExplorationModel.moment
      act { $0.didReadSnapshot(read, bytes: bytes, now: now, into: &$1) }
    }
  }

  // MARK: Rules that one node alone can break

  private mutating func judge(_ before: Consensus, _ effects: Effects) {
    if node.core.commitIndex > before.commitIndex, before.isLeader {
      commits.append(Commit(index: node.core.commitIndex, membership: before.membership))
    }
    if before.isLeader, node.core.isLeader, before.term == node.core.term {
      judgeAppendOnly(before)
    }
    guard model.checksPromises else { return }
    if let broken = node.core.brokenInvariant { breach = breach ?? "not true: \(broken)" }
    for envelope in effects.messages { judgePromise(envelope) }
  }

  private mutating func judgeAppendOnly(_ before: Consensus) {
    var index = max(before.firstIndex, node.core.firstIndex)
    while index <= before.lastIndex {
      if node.core.entry(at: index) != before.entry(at: index) {
        breach = breach ?? "leader append-only: \(node.id) changed its entry \(index)"
      }
      index = LogIndex(index.rawValue + 1)
    }
  }

  /// Nothing is said before the disk has what makes it true.
  private mutating func judgePromise(_ envelope: Envelope) {
    let message = envelope.message
    let disk = node.disk
    switch message.body {
    case .voteReply(granted: true):
      let promised = HardState(term: message.term, vote: envelope.recipient)
      if disk.hardState != promised {
        breach = breach ?? "\(node.id) told a vote that is not on its disk"
      }
    case .voteRequest:
      if disk.hardState != HardState(term: message.term, vote: node.id) {
        breach = breach ?? "\(node.id) asked for votes before its own was on its disk"
      }
    case .accepted(let acceptance):
      if !holds(through: acceptance.match) {
        breach = breach ?? "\(node.id) acknowledged entries that are not on its disk"
      }
    default: break
    }
  }

  /// Whether the disk has what the memory has, up to the index.
  private func holds(through index: LogIndex) -> Bool {
    guard node.disk.lastIndex >= index else { return false }
    return node.disk.entries.allSatisfy { entry in
      entry.index > index || entry.index < node.core.firstIndex
        || node.core.entry(at: entry.index) == entry
    }
  }

  /// A vote that is on the disk stays for its term.
  private mutating func judgeDisk(_ before: HardState) {
    guard model.checksPromises else { return }
    let after = node.disk.hardState
    if after.term < before.term { breach = breach ?? "\(node.id) wrote an older term" }
    if after.term == before.term, before.vote > .zero, after.vote != before.vote {
      let votes = "\(before.vote) and \(after.vote)"
      breach = breach ?? "\(node.id) voted for \(votes) in term \(after.term)"
    }
  }
}

extension Message {
  fileprivate var isPreVoteRequest: Bool {
    if case .preVoteRequest = body { true } else { false }
  }
}
