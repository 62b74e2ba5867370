import RoostJournal
import RoostRaft
import RoostReplica
import RoostStateMachine
import RoostWire

/// What a node's disk is asked for and what it answers, as `Shell` does it.
extension SimulatedCluster {
  /// Tells the replica what the disk has done; false if that was the node's end.
  func takeDiskReport(_ node: SimulatedNode, _ life: NodeLife, _ local: Instant) -> Bool {
    if now >= life.nextRetry {
      life.nextRetry = now + StormPlan.second
      life.journal.retry()
    }
    let report = life.journal.poll()
    if let failure = report.failure {
      tell("node \(node.id)", "ends itself: \(failure)")
      meet(.writeFailed)
      kill(node, down: 500_000_000)
      return false
    }
    noteRoom(node, life, local)
    if var ticket = report.durable {
      if plan.flaw == .shell(.reportNewest) { ticket = life.underWay.last ?? ticket }
      tell("node \(node.id)", "has synced write \(ticket)")
      record("synced", node, "\"ticket\":\(ticket)")
      life.underWay.removeAll { $0 <= ticket }
      didPersist(WriteTicket(ticket), node, life, local)
    }
    takeSnapshotReport(report, node, life, local)
    return true
  }

  private func noteRoom(_ node: SimulatedNode, _ life: NodeLife, _ local: Instant) {
    let admits = life.journal.admitsWrites
    guard admits != life.look({ $0.admitsRequests }) else { return }
    life.replica.admitsRequests = admits
    tell("node \(node.id)", admits ? "has room again" : "has a full disk")
    guard !admits else { return }
    meet(.diskFull)
    _ = life.replica.handOver(now: local)
  }

  private func takeSnapshotReport(
    _ report: JournalReport,
    _ node: SimulatedNode,
    _ life: NodeLife,
    _ local: Instant
  ) {
    if let saved = report.savedSnapshot {
      tell("node \(node.id)", "has saved a snapshot at \(saved.label.index)")
      meet(.snapshotSaved)
      life.replica.didSaveSnapshot(saved.descriptor)
    }
    if let received = report.receivedSnapshot {
      tell("node \(node.id)", "has received the snapshot at \(received.label.index)")
      meet(.snapshotReceived)
      if received.descriptor == life.begunBefore { meet(.snapshotResumed) }
      life.replica.didReceiveSnapshot(received.descriptor, isValid: true, now: local)
    }
    if let refused = report.refusedSnapshot {
      tell("node \(node.id)", "refuses the snapshot at \(refused.mark.index)")
      life.replica.didReceiveSnapshot(refused, isValid: false, now: local)
    }
    if let failure = report.refusalReason {
      tell("node \(node.id)", "has not written a snapshot that came in: \(failure)")
      meet(.snapshotFailed)
    }
    if let failure = report.snapshotFailure {
      tell("node \(node.id)", "has not written a snapshot: \(failure)")
      meet(.snapshotFailed)
      life.replica.didFailToSaveSnapshot()
    }
  }

  /// Stores and reads what has to do with snapshots; false if the node did not survive it.
  func store(_ node: SimulatedNode, _ life: NodeLife, _ local: Instant) -> Bool {
    if let snapshot = life.effects.snapshotToSave {
      life.effects.snapshotToSave = nil
      guard step(node) else { return false }
      tell("node \(node.id)", "begins a snapshot at \(snapshot.mark.index)")
      let label = SnapshotLabel(mark: snapshot.mark, stateHash: snapshot.state.stateHash)
      let writer = SnapshotWriter(of: snapshot.state)
      life.journal.saveSnapshot(label, from: StateSource(writer: writer))
    }
    for read in life.effects.snapshotReads {
      let bytes = life.journal.snapshotBytes(
        of: read.snapshot,
        at: read.offset,
        byteCount: read.byteCount
      )
      life.replica.didReadSnapshot(read, bytes: bytes, now: local)
    }
    life.effects.snapshotReads.removeAll()
    for chunk in life.effects.snapshotChunks {
      guard step(node) else { return false }
      receive(chunk, life, local)
    }
    life.effects.snapshotChunks.removeAll()
    guard let snapshot = life.effects.snapshotToLoad else { return true }
    life.effects.snapshotToLoad = nil
    return load(snapshot, node, life)
  }

  private func receive(_ chunk: SnapshotChunk, _ life: NodeLife, _ local: Instant) {
    do throws(SnapshotRefusal) {
      try life.journal.receive(chunk.bytes, at: chunk.offset, of: chunk.snapshot)
    } catch {
      life.replica.didReceiveSnapshot(chunk.snapshot, isValid: false, now: local)
    }
  }

  private func load(
    _ snapshot: SnapshotDescriptor,
    _ node: SimulatedNode,
    _ life: NodeLife
  ) -> Bool {
    do throws(JournalError) {
      let state = try loadState(of: life.journal)
      tell("node \(node.id)", "goes on from the snapshot at \(snapshot.mark.index)")
      meet(.snapshotLoaded)
      life.replica.didLoadSnapshot(snapshot, state)
      life.judged = life.replica.applied
      judgeTurn(node, life)
      return true
    } catch {
      breach("snapshot unreadable", "node \(node.id) can't load a snapshot: \(error)")
      return false
    }
  }

  /// The state in a journal's newest snapshot.
  func loadState(of journal: Journal) throws(JournalError) -> ReplicatedState {
    guard var reader = journal.readSnapshot() else { throw .identityMissing }
    var state = RoostStateMachine.SnapshotReader()
    while let piece = try reader.nextPiece() {
      do throws(WireError) {
        try state.add(piece)
      } catch {
        throw .contradiction(Damage(file: "snapshot", offset: 0, reason: "\(error)"))
      }
    }
    do throws(WireError) {
      return StormFlaw.planted(plan.flaw, in: try state.finish())
    } catch {
      throw .contradiction(Damage(file: "snapshot", offset: 0, reason: "\(error)"))
    }
  }
}

/// The pieces of a state, for the disk that writes them.
private struct StateSource: SnapshotSource {
  var writer: SnapshotWriter

  mutating func nextPiece() -> [UInt8]? { writer.nextChunk() }
}
