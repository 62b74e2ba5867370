package import RoostRaft
package import RoostStateMachine
package import RoostWire

/// A state to be written as a snapshot, and where in the log it stands.
package struct SnapshotToSave: Sendable {
  package let mark: SnapshotMark
  /// A copy that stays as it was while the node goes on.
  package let state: ReplicatedState
}

/// When this node writes snapshots, and what it keeps in memory behind them.
struct SnapshotPlan: Sendable {
  /// Bytes of entries that were applied since the newest snapshot was begun.
  var byteCount = 0
  var isSaving = false
  /// After a snapshot that could not be saved none is tried until so much more has been applied.
  var nextTry = 0
  /// The newest snapshot.
  var newest = LogIndex.zero
  /// How long the newest snapshot is.
  var newestByteCount = 0
  /// A follower needs a newer one than there is.
  var isWanted = false
  /// When one that is wanted is tried again after it could not be saved.
  var retryAt = Instant(nanoseconds: 0)
  /// Whether the last could not be saved, and nobody has looked at the clock since.
  var hasFailed = false

  /// How many bytes of entries make the next snapshot due: no fewer than asked for, and in step with what a snapshot costs.
  ///
  /// A small state is written for every four times its size, and none waits for more than its size and 256 MiB, so that a restart has
  /// a bounded log to go through.
  func interval(atLeast byteCount: Int) -> Int {
    max(byteCount, min(4 * newestByteCount, newestByteCount + (256 << 20)))
  }
}

/// Snapshots: written when enough has been applied, loaded when a leader sends one.
extension Replica {
  /// Asks for a snapshot of the state as it is now, if enough has been applied since the last.
  ///
  /// One that a follower needs is also asked for when nothing is applied any more: the follower may be what is missing for that.
  mutating func planSnapshot(now: Instant, into effects: inout ReplicaEffects) {
    if plan.hasFailed {
      plan.hasFailed = false
      plan.retryAt = now.advanced(by: .seconds(1))
    }
    let isDue =
      plan.byteCount >= plan.interval(atLeast: snapshotByteCount) && plan.byteCount >= plan.nextTry
    guard !plan.isSaving, loading == nil, isDue || plan.isWanted && now >= plan.retryAt,
      applied > plan.newest, let mark = consensus.mark(at: applied)
    else { return }
    plan.isSaving = true
    plan.isWanted = false
    plan.byteCount = 0
    plan.nextTry = 0
    effects.snapshotToSave = SnapshotToSave(mark: mark, state: state)
  }

  /// A snapshot that was asked for is on the disk for good.
  package mutating func didSaveSnapshot(_ saved: SnapshotDescriptor) {
    plan.isSaving = false
    consensus.didSaveSnapshot(saved)
    guard saved.mark.index > plan.newest else { return }
    plan.newest = saved.mark.index
    plan.newestByteCount = Int(saved.byteCount)
  }

  /// A snapshot could not be saved; the log stays, and it is tried again later.
  package mutating func didFailToSaveSnapshot() {
    guard plan.isSaving else { return }
    plan.isSaving = false
    plan.hasFailed = true
    plan.nextTry = plan.byteCount + snapshotByteCount / 4
  }

  /// The bytes of this node's snapshot that a follower needs; nil if that file is gone.
  package mutating func didReadSnapshot(_ read: SnapshotRead, bytes: [UInt8]?, now: Instant) {
    consensus.didReadSnapshot(read, bytes: bytes, now: now, into: &asked)
  }

  /// A snapshot that came from the leader is on the disk for good, or is not what it should be.
  package mutating func didReceiveSnapshot(
    _ received: SnapshotDescriptor,
    isValid: Bool,
    now: Instant
  ) {
    consensus.didReceiveSnapshot(received, isValid: isValid, now: now, into: &asked)
  }

  /// The state of the snapshot that ``ReplicaEffects/snapshotToLoad`` named; the node goes on from there.
  package mutating func didLoadSnapshot(_ loaded: SnapshotDescriptor, _ state: ReplicatedState) {
    guard loading == loaded else { return }
    precondition(loaded.mark.index > applied, "a snapshot never takes the state back")
    precondition(state.appliedIndex <= loaded.mark.index, "the state is that of the snapshot")
    loading = nil
    self.state = state
    applied = loaded.mark.index
    plan.newest = max(plan.newest, loaded.mark.index)
    plan.newestByteCount = Int(loaded.byteCount)
    plan.byteCount = 0
  }
}
