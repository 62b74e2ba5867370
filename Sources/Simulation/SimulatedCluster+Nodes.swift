import RoostClientCore
import RoostJournal
import RoostRaft
import RoostReplica
import RoostStateMachine
import RoostWire

/// Nodes: how they start, end, and take their turns.
///
/// A turn does what `Shell` does, in its order: time, what came in, then effects until there are no more, with messages
/// sent before writes begin, and replies at the end.
extension SimulatedCluster {
  static let cluster = ClusterID(77)

  func start(_ node: SimulatedNode, after life: UInt64) {
    guard node.life == nil, node.lifeCount == life else { return }
    node.lifeCount += 1
    report.startCount += 1
    node.disk.advance(to: Instant(nanoseconds: now))
    // Moments of two starts can't be compared.
    node.clock = VirtualClock(
      start: node.random.draw(from: 1_000_000_000...1_000_000_000_000),
      drift: node.clock.drift,
      world: now
    )
    if let fuse = node.startFuse {
      node.disk.nextOperationFailure = .failed
      node.disk.operationsBeforeFailure = fuse.operations
    }
    do throws(JournalError) {
      let identity = JournalIdentity(cluster: Self.cluster, node: node.id)
      let (journal, recovered) = try Journal.open(
        on: node.disk,
        as: identity,
        incarnation: node.incarnation,
        settings: StormFlaw.settings(plan.flaw, plan.journal)
      )
      if node.startFuse != nil {
        node.startFuse = nil
        node.disk.nextOperationFailure = nil
        node.disk.operationsBeforeFailure = 0
      }
      try adopt(journal, recovered, on: node)
    } catch {
      didNotStart(node, because: error)
    }
  }

  /// A start that the disk refused is tried again; a node that must be replaced is.
  private func didNotStart(_ node: SimulatedNode, because error: JournalError) {
    tell("node \(node.id)", "does not start: \(error)")
    let again = Happening.start(node: node.number, life: node.lifeCount)
    if let fuse = node.startFuse {
      node.startFuse = nil
      meet(.powerLostAtStart)
      node.disk.crash()
      return queue.add(again, at: now + max(fuse.down, 1))
    }
    switch error {
    case .disk(let failure) where failure.reason == .failed || failure.reason == .noSpace:
      meet(.startRefusedByDisk)
      queue.add(again, at: now + 500 * StormPlan.millisecond)
    case .mustBeReplaced where impaired == node.number,
      .unreadable where impaired == node.number:
      meet(.damagedBeyondHealing)
      node.replaceDisk(keepsIdentity: plan.flaw == .shell(.lostDiskKeepsIdentity))
      queue.add(again, at: now + 500 * StormPlan.millisecond)
    default: breach("start refused", "node \(node.id) can't open its journal: \(error)")
    }
  }

  private func adopt(
    _ journal: Journal,
    _ recovered: Recovered,
    on node: SimulatedNode
  ) throws(JournalError) {
    let isFounder = node.number < plan.founderCount && recovered.incarnation == .zero
    let founding = SnapshotMark(founding: isFounder ? foundingMembership : .none)
    let restored = Restored(
      incarnation: recovered.incarnation,
      hardState: plan.flaw == .shell(.voteForgottenAtStart) ? HardState() : recovered.hardState,
      mark: recovered.snapshot?.label.mark ?? founding,
      entries: plan.flaw == .shell(.tailForgottenAtStart)
        ? recovered.entries.dropLast() : recovered.entries,
      snapshot: recovered.snapshot?.descriptor,
      incoming: recovered.incoming,
      promised: plan.flaw == .shell(.damageForgotten) ? .start : recovered.promised ?? .start
    )
    let local = node.clock.local(at: now)
    var replica = Replica(
      id: node.id,
      settings: plan.settings,
      restored: restored,
      state: recovered.snapshot == nil
        ? StormFlaw.state(plan.flaw, plan.stateLimits) : try loadState(of: journal),
      random: node.random.split(),
      now: local,
      snapshotByteCount: plan.snapshotByteCount
    )
    StormFlaw.plant(plan.flaw, into: &replica)
    let life = NodeLife(
      number: node.lifeCount,
      replica: replica,
      journal: journal,
      promised: recovered.promised ?? .start,
      now: local
    )
    life.links = (0..<plan.nodeCount).filter { $0 != node.number }
      .map { PeerLink(from: node.number, to: $0, life: life.number, now: now) }
    node.life = life
    if let problem = node.oath.didStart(restored) {
      breach("forgotten", "node \(node.id) \(problem)")
    }
    tell(
      "node \(node.id)",
      "starts in term \(recovered.hardState.term) with a snapshot at \(restored.mark.index) and entries"
        + " up to \(replica.consensus.lastIndex)"
        + recovered.findings.map { "; \($0)" }.joined()
    )
    mark(UInt64(node.number) << 8 | 1)
    record("start", node, "\"incarnation\":\(recovered.incarnation)")
    recordState(node, life)
    noteStart(node, life, recovered)
    wake(node)
  }

  /// Sees to it that the node takes a turn soon.
  func wake(_ node: SimulatedNode) {
    scheduleTurn(node, at: now + node.random.draw(from: plan.turnDelay))
  }

  func scheduleTurn(_ node: SimulatedNode, at time: UInt64) {
    guard let life = node.life else { return }
    let time = max(time, now + Self.turnCost, node.pausedUntil)
    guard time < life.nextTurn else { return }
    life.nextTurn = time
    queue.add(.turn(node: node.number, life: life.number), at: time)
  }

  func turn(_ node: SimulatedNode, _ lifeNumber: UInt64) {
    guard let life = node.life, life.number == lifeNumber, life.nextTurn <= now else { return }
    life.nextTurn = .max
    guard now >= node.pausedUntil else { return scheduleTurn(node, at: node.pausedUntil) }
    report.turnCount += 1
    node.disk.advance(to: Instant(nanoseconds: now))
    let local = max(life.lastNow, node.clock.local(at: now))
    if local.nanoseconds(since: life.lastNow)
      > plan.settings.electionTimeout.upperBound.wholeNanoseconds
    {
      meet(.tickAfterLongSleep)
    }
    life.lastNow = local
    if plan.flaw != .shell(.noTickBeforeInput) { life.replica.tick(now: local) }
    takeArrivals(node, life, local)
    if plan.flaw == .shell(.noTickBeforeInput) { life.replica.tick(now: local) }
    guard perform(node, life, local) else { return }
    keepLinks(node, life)
    flush(life)
    noteSentEvents(life)
    recordState(node, life)
    mark(UInt64(node.number) << 32 | life.look { $0.applied.rawValue })
    scheduleNext(node, life)
  }

  private func scheduleNext(_ node: SimulatedNode, _ life: NodeLife) {
    var next = node.clock.world(at: life.look { $0.nextDeadline })
    next = min(next, node.disk.nextDeadline.nanoseconds)
    for link in life.links where link.pipe == nil && !link.isDialling {
      next = min(next, link.nextAttempt)
    }
    scheduleTurn(node, at: next)
  }

  /// Lets the turn take effect; false if the node did not survive it.
  private func perform(_ node: SimulatedNode, _ life: NodeLife, _ local: Instant) -> Bool {
    var isDone = false
    var applying = Replica.applyByteLimit
    while !isDone {
      guard step(node) else { return false }
      guard takeDiskReport(node, life, local) else { return false }
      life.replica.finishTurn(now: local, into: &life.effects)
      isDone = life.effects.isEmpty
      guard send(node, life), write(node, life, local), store(node, life, local) else {
        return false
      }
      life.replica.applyCommitted(now: local, byteLimit: applying, into: &life.effects)
      applying = 0
      judgeTurn(node, life)
      isDone = isDone && life.effects.isEmpty
    }
    return true
  }

  private func send(_ node: SimulatedNode, _ life: NodeLife) -> Bool {
    let messages = life.effects.messages
    life.effects.messages.removeAll(keepingCapacity: true)
    for envelope in messages {
      guard step(node) else { return false }
      if let problem = node.oath.willSend(envelope.message, to: envelope.recipient) {
        breach("not on the disk", "node \(node.id) \(problem)")
      }
      route(envelope, from: node, life)
    }
    let forwards = life.effects.forwards
    life.effects.forwards.removeAll(keepingCapacity: true)
    for forward in forwards {
      guard step(node) else { return false }
      route(forward, from: node, life)
    }
    let replies = life.effects.replies
    for (place, reply) in replies.enumerated() {
      let isSwapped = plan.flaw == .shell(.repliesSwapped)
      put(reply, of: life, as: isSwapped ? replies[replies.count - 1 - place].ticket : reply.ticket)
    }
    life.effects.replies.removeAll(keepingCapacity: true)
    life.effects.replyBytes.removeAll(keepingCapacity: true)
    for change in life.effects.changes {
      tell("node \(node.id)", "\(change)")
      note(change, of: node, life)
    }
    life.effects.changes.removeAll(keepingCapacity: true)
    routeNews(life)
    life.effects.membershipChanged = false
    return true
  }

  private func write(_ node: SimulatedNode, _ life: NodeLife, _ local: Instant) -> Bool {
    let writes = life.effects.writes
    life.effects.writes.removeAll(keepingCapacity: true)
    for write in writes {
      guard step(node) else { return false }
      tell("node \(node.id)", write.story)
      record("write", node, write.fields)
      note(write, of: node, life)
      judge(write, of: node, life)
      hand(write, to: node, life, local)
    }
    return true
  }

  private func hand(
    _ write: Write,
    to node: SimulatedNode,
    _ life: NodeLife,
    _ local: Instant
  ) {
    let isForgetful = plan.flaw == .shell(.voteNotWritten)
    life.journal.append(
      ticket: write.ticket.rawValue,
      hardState: isForgetful ? nil : write.hardState,
      restartAfter: write.restart?.mark.position,
      truncateFrom: write.truncateFrom,
      entries: write.entries
    )
    if plan.flaw == .shell(.reportBeforeSync) {
      didPersist(write.ticket, node, life, local)
    }
  }

  func didPersist(
    _ ticket: WriteTicket,
    _ node: SimulatedNode,
    _ life: NodeLife,
    _ local: Instant
  ) {
    node.oath.didPersist(through: ticket.rawValue)
    life.replica.didPersist(through: ticket, now: local)
  }

  /// A place in a turn at which the power may go; false if it did.
  func step(_ node: SimulatedNode) -> Bool {
    guard let fuse = node.fuse else { return true }
    guard fuse.steps <= 1 else {
      node.fuse?.steps -= 1
      return true
    }
    node.fuse = nil
    meet(.powerLostInTurn)
    losePower(node, down: fuse.down)
    return false
  }

  // MARK: Ends

  func losePower(_ node: SimulatedNode, down: UInt64) {
    guard node.life != nil else { return }
    tell("node \(node.id)", "loses power")
    node.disk.advance(to: Instant(nanoseconds: now))
    node.disk.crash()
    end(node, isSilent: true, down: down)
  }

  func kill(_ node: SimulatedNode, down: UInt64) {
    guard node.life != nil else { return }
    tell("node \(node.id)", "is killed")
    node.disk.advance(to: Instant(nanoseconds: now))
    node.disk.kill()
    end(node, isSilent: false, down: down)
  }

  private func end(_ node: SimulatedNode, isSilent: Bool, down: UInt64) {
    guard let life = node.life else { return }
    mark(UInt64(node.number) << 8 | 2)
    record("end", node)
    node.lastIndexAtEnd = life.look { $0.consensus.lastIndex }
    node.wasLeaderIn = life.look { $0.consensus.isLeader ? $0.consensus.term : .zero }
    if nodes.allSatisfy({ $0.life == nil || $0 === node }) { meet(.wholeClusterDown) }
    node.fuse = nil
    node.pausedUntil = 0
    node.life = nil
    for token in life.connections.keys.sorted() {
      guard let connection = life.connections[token] else { continue }
      breakOff(connection, tellsClient: !isSilent)
    }
    for link in life.links { link.pipe?.isOpen = false }
    if !isSilent { breakLinks(to: node) }
    queue.add(.start(node: node.number, life: node.lifeCount), at: now + max(down, 1))
  }
}

extension Write {
  /// What is written, for stories.
  var story: String {
    var parts: [String] = []
    if let hardState { parts.append("term \(hardState.term) and vote \(hardState.vote)") }
    if let restart { parts.append("a log that begins anew after \(restart.mark.index)") }
    if let truncateFrom { parts.append("a cut from \(truncateFrom) on") }
    if let first = entries.first, let last = entries.last {
      parts.append("entries \(first.index)...\(last.index) of term \(last.term)")
    }
    return "writes " + parts.joined(separator: ", ") + " as write \(ticket)"
  }
}
