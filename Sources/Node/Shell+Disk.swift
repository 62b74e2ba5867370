internal import RoostJournal
internal import RoostRaft
internal import RoostReplica
internal import RoostWire

/// What the disk is asked for, and what it answers.
extension Shell {
  /// Tells the replica what the disk has done since the last call.
  ///
  /// After a failed write or sync nobody can say what is on the disk, so the process ends: what a restart reads is true.
  func takeDiskReport() {
    let report = diskWork { () throws(NodeError) in try journal.poll() }
    noteRoom()
    if let ticket = report.durable { replica.didPersist(through: WriteTicket(ticket), now: now) }
    if let saved = report.savedSnapshot {
      log(.info, "has a snapshot through \(saved.label.index), \(saved.byteCount) bytes")
      replica.didSaveSnapshot(saved.descriptor)
    }
    if let received = report.receivedSnapshot {
      log(.info, "received a snapshot through \(received.label.index)")
      replica.didReceiveSnapshot(received.descriptor, isValid: true, now: now)
    }
    if let refused = report.refusedSnapshot {
      let reason = report.refusalReason.map { "\($0)" } ?? "it came in damaged"
      log(.warning, "a snapshot through \(refused.mark.index) is not used: \(reason)")
      replica.didReceiveSnapshot(refused, isValid: false, now: now)
    }
    if let failure = report.snapshotFailure {
      log(.warning, "a snapshot was not written: \(failure)")
      replica.didFailToSaveSnapshot()
    }
  }

  /// A full disk refuses clients' requests until there is room again; another node may have some, so leadership is handed over.
  private func noteRoom() {
    guard journal.admitsRequests != replica.admitsRequests else { return }
    replica.admitsRequests = journal.admitsRequests
    if replica.admitsRequests {
      log(.warning, "the disk has room again: writes go on")
    } else {
      log(.error, "the disk is full: writes are refused until there is room; reads go on")
      _ = replica.handOver(now: now)
    }
  }

  /// Stores what the replica asks for, and reads what it needs.
  func performDiskWork() {
    flushLinks()
    for write in effects.writes { journal.append(write) }
    effects.writes.removeAll(keepingCapacity: true)
    if let snapshot = effects.snapshotToSave {
      effects.snapshotToSave = nil
      journal.save(snapshot)
    }
    for read in effects.snapshotReads {
      replica.didReadSnapshot(read, bytes: journal.bytes(for: read), now: now)
    }
    effects.snapshotReads.removeAll()
    for chunk in effects.snapshotChunks {
      count(.snapshotBytes, chunk.bytes.count)
      if journal.receive(chunk) { continue }
      replica.didReceiveSnapshot(chunk.snapshot, isValid: false, now: now)
    }
    effects.snapshotChunks.removeAll()
    if let snapshot = effects.snapshotToLoad {
      effects.snapshotToLoad = nil
      let state = diskWork { () throws(NodeError) in try journal.loadState() }
      replica.didLoadSnapshot(snapshot, state)
    }
  }

  private func diskWork<Result>(_ body: () throws(NodeError) -> Result) -> Result {
    do throws(NodeError) {
      return try body()
    } catch {
      log(.error, "\(error)")
      configuration.onFatalError("\(error)")
    }
  }
}
