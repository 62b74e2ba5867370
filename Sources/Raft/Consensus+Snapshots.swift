package import RoostWire

// Raft §7, thesis §5: compaction, and snapshots for followers that are too far behind.
//
// The core holds no snapshot bytes. It says which part of which snapshot goes where; the shell reads,
// writes and checks files. One part at a time is under way to a follower, so that other traffic goes on.

/// A snapshot that comes from a leader in parts.
package struct IncomingSnapshot: Hashable, Sendable {
  package let snapshot: SnapshotDescriptor
  /// The bytes that were given to the shell, from the first on.
  package internal(set) var byteCount: UInt64

  package init(snapshot: SnapshotDescriptor, byteCount: UInt64 = 0) {
    self.snapshot = snapshot
    self.byteCount = byteCount
  }

  /// Whether the shell has all of it, and is looking at it.
  var isWhole: Bool { byteCount == snapshot.byteCount }
}

extension Consensus {
  // MARK: Compaction

  /// Takes note of a snapshot of this node's own state that is on the disk for good.
  package mutating func didSaveSnapshot(_ saved: SnapshotDescriptor) {
    precondition(saved.mark.index <= commitIndex, "only committed state is kept")
    guard saved.mark.index > snapshot?.mark.index ?? .zero else { return }
    snapshot = saved
  }

  /// Drops the entries up to and with `index` from memory.
  ///
  /// Never beyond the newest snapshot: what is dropped can be had from that alone.
  package mutating func compact(through index: LogIndex) {
    log.compact(through: min(index, snapshot?.mark.index ?? .zero))
    forgetOldMemberships()
    checkInvariants()
  }

  /// Drops applied entries from memory, even ones that no snapshot holds yet, so that about `byteCount` of them stay.
  ///
  /// They are on the disk, and a restart finds them there. What a follower that was heard lately still lacks stays too, up to
  /// eight times as much; for one that lacks more, ``Effects/snapshotIsWanted`` asks for a newer snapshot.
  package mutating func forget(keeping byteCount: Int, through applied: LogIndex, now: Instant) {
    // Some slack, so that the work comes in batches.
    guard log.heldByteCount > byteCount + byteCount / 4 else { return }
    var limit = min(applied, commitIndex, log.index(before: byteCount))
    if let needed = neededByFollowers(now), needed < limit {
      limit = max(needed, min(limit, log.index(before: byteCount * 8)))
    }
    guard limit > log.base.index else { return }
    log.compact(through: limit)
    forgetOldMemberships()
    checkInvariants()
  }

  /// The last entry that no follower which lives needs any more; nil on a node that does not lead.
  private func neededByFollowers(_ now: Instant) -> LogIndex? {
    guard let leadership else { return nil }
    var needed = log.lastIndex
    for progress in leadership.progress where progress.id != id {
      guard let heard = progress.heardAt, now < heard.advanced(by: settings.loyalty * 4) else {
        continue
      }
      needed = min(needed, progress.transfer?.snapshot.mark.index ?? progress.match)
    }
    return needed
  }

  /// The mark of a snapshot of the state after `index`, which must be committed and held.
  package func mark(at index: LogIndex) -> SnapshotMark? {
    guard index <= commitIndex, let term = log.term(at: index) else { return nil }
    guard let placed = memberships.last(where: { $0.index <= index }) else { return nil }
    let time = log.entry(at: index)?.time ?? log.baseTime
    return SnapshotMark(index: index, term: term, time: time, membership: placed.membership)
  }

  // MARK: The leader

  /// What a follower needs next is not in the log any more.
  mutating func startSnapshot(for slot: Int, now: Instant, into effects: inout Effects) {
    guard let snapshot, snapshot.mark.index >= log.base.index else {
      effects.snapshotIsWanted = true
      // Asked again with every answer of the follower, until there is one.
      if let next = leadership?.progress[slot].next {
        leadership?.progress[slot].becomeProbe(next: next)
      }
      return
    }
    let transfer = SnapshotTransfer(snapshot: snapshot, movedAt: now)
    leadership?.progress[slot].becomeSnapshot(transfer)
    offerSnapshot(to: slot, into: &effects)
  }

  /// Names the snapshot without a part of it: the follower answers how much of it it has.
  private func offerSnapshot(to slot: Int, into effects: inout Effects) {
    guard let progress = leadership?.progress[slot], let transfer = progress.transfer else {
      return
    }
    let offer = SnapshotChunk(snapshot: transfer.snapshot, offset: 0, bytes: [])
    send(.snapshotChunk(offer), to: progress.id, into: &effects)
  }

  mutating func didReceive(
    _ receipt: SnapshotReceipt,
    from follower: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    guard let slot = leadership?.slot(of: follower), let progress = leadership?.progress[slot],
      let transfer = progress.transfer
    else { return }
    leadership?.progress[slot].heardAt = now
    let snapshot = transfer.snapshot
    guard receipt.index == snapshot.mark.index, receipt.checksum == snapshot.checksum,
      receipt.byteCount <= snapshot.byteCount, receipt.byteCount != transfer.received
    else { return }
    leadership?.progress[slot].transfer?.received = receipt.byteCount
    leadership?.progress[slot].transfer?.hasBegun = receipt.byteCount > 0
    leadership?.progress[slot].transfer?.movedAt = now
    requestPart(for: slot, into: &effects)
  }

  private func requestPart(for slot: Int, into effects: inout Effects) {
    guard let progress = leadership?.progress[slot], let transfer = progress.transfer,
      let received = transfer.received, received < transfer.snapshot.byteCount
    else { return }
    let left = transfer.snapshot.byteCount - received
    let read = SnapshotRead(
      follower: progress.id,
      snapshot: transfer.snapshot,
      offset: received,
      byteCount: Int(min(left, UInt64(settings.snapshotChunkByteLimit)))
    )
    effects.snapshotReads.append(read)
  }

  /// Takes the bytes that were asked for in ``Effects/snapshotReads``; nil if that file is gone.
  package mutating func didReadSnapshot(
    _ read: SnapshotRead,
    bytes: [UInt8]?,
    now: Instant,
    into effects: inout Effects
  ) {
    guard let slot = leadership?.slot(of: read.follower),
      let transfer = leadership?.progress[slot].transfer,
      transfer.snapshot == read.snapshot, transfer.received == read.offset
    else { return }
    guard let bytes, bytes.count == read.byteCount else {
      // Another snapshot may have taken its place; if not, the next offer waits for the timeout.
      if snapshot != read.snapshot { startSnapshot(for: slot, now: now, into: &effects) }
      return
    }
    let chunk = SnapshotChunk(snapshot: read.snapshot, offset: read.offset, bytes: bytes)
    send(.snapshotChunk(chunk), to: read.follower, into: &effects)
  }

  /// A part or its receipt may be lost: offers again what did not move for an election timeout.
  mutating func tickSnapshots(now: Instant, into effects: inout Effects) {
    guard let count = leadership?.progress.count else { return }
    for slot in 0..<count {
      guard let transfer = leadership?.progress[slot].transfer,
        now >= transfer.movedAt.advanced(by: settings.loyalty)
      else { continue }
      // A newer snapshot takes the place of one of which nothing has arrived. Whoever has a part of one is offered that one
      // for as long as its file is there, also when it comes back after a while.
      if !transfer.hasBegun {
        startSnapshot(for: slot, now: now, into: &effects)
      } else {
        leadership?.progress[slot].transfer?.movedAt = now
        leadership?.progress[slot].transfer?.received = nil
        offerSnapshot(to: slot, into: &effects)
      }
    }
  }

  // MARK: The follower

  mutating func receive(
    _ chunk: SnapshotChunk,
    from sender: NodeID,
    now: Instant,
    into effects: inout Effects
  ) {
    guard follow(sender, now: now, into: &effects) else { return }
    let mark = chunk.snapshot.mark
    if mark.index <= commitIndex || log.contains(mark.position) {
      // All that it holds is here already, as entries; a snapshot must not take the state back.
      incoming = nil
      following?.verify(through: mark.index)
      commit(through: mark.index, into: &effects)
      return sendAcceptance(into: &effects)
    }
    if incoming?.snapshot != chunk.snapshot {
      // Whatever comes of the one that the shell is looking at, it is known before another one can be taken.
      if let incoming, incoming.isWhole { return }
      incoming = IncomingSnapshot(snapshot: chunk.snapshot)
    }
    guard let known = incoming?.byteCount else { return }
    if chunk.offset == known, !chunk.bytes.isEmpty {
      incoming?.byteCount = known + UInt64(chunk.bytes.count)
      effects.snapshotChunks.append(chunk)
      if incoming?.byteCount == chunk.snapshot.byteCount {
        effects.snapshotToCheck = chunk.snapshot
      }
    }
    sendReceipt(to: sender, into: &effects)
  }

  private func sendReceipt(to sender: NodeID, into effects: inout Effects) {
    guard let incoming else { return }
    let receipt = SnapshotReceipt(
      index: incoming.snapshot.mark.index,
      checksum: incoming.snapshot.checksum,
      byteCount: incoming.byteCount
    )
    send(.snapshotReceived(receipt), to: sender, into: &effects)
  }

  /// Takes note that a whole snapshot is on the disk for good, or that it is not what it should be.
  ///
  /// If it is still of use the log begins anew behind it: ``Effects/snapshotToLoad`` and a write say
  /// so, and the leader is told once that write is on the disk.
  package mutating func didReceiveSnapshot(
    _ received: SnapshotDescriptor,
    isValid: Bool,
    now: Instant,
    into effects: inout Effects
  ) {
    defer { checkInvariants() }
    guard incoming?.snapshot == received else { return }
    incoming = nil
    let mark = received.mark
    guard isValid, mark.index > commitIndex, !log.contains(mark.position) else { return }
    stageRestart(behind: received, into: &effects)
    commitIndex = mark.index
    snapshot = received
    following?.verify(through: mark.index)
    effects.commitIndex = mark.index
    effects.snapshotToLoad = received
  }
}
