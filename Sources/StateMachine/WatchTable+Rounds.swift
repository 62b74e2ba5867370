internal import RoostWire

/// Those who keep up: found by the keys that changed, in rounds of whole revisions.
///
/// A round's watchers are found first and told then. Mostly both happen in one call. If very many watch what one
/// revision changed, finding them and telling them is done over several calls, and the round keeps how far it came;
/// nothing later is told meanwhile, so order is kept.
extension WatchTable {
  /// Changes that are being told to those who keep up.
  struct Round: Sendable {
    let positions: Range<UInt64>
    /// The newest revision of ``positions``.
    let revision: UInt64
    /// Slots to be told, and of each the positions that concern it if those were noted.
    var found: [(slot: Int, positions: [UInt64]?)] = []
    /// How many of ``found`` have been told.
    var toldCount = 0
    /// Where to go on finding: a position, and a place in the index.
    var scanned: UInt64
    var lastPlace: RangeIndex.Place?
  }

  mutating func tellThoseWhoKeepUp(
    _ state: ReplicatedState,
    _ steps: inout Int,
    into output: inout WatchOutput
  ) {
    let changes = state.keyspace.changes
    while steps > 0, seen < changes.next {
      if index.count == 0, round == nil {
        seen = changes.next
        revision = max(revision, state.keyspace.revision)
        return
      }
      if round == nil { beginRound(state, &steps) }
      guard finishFinding(state, &steps), finishTelling(state, &steps, into: &output),
        let done = round
      else { return }
      seen = done.positions.upperBound
      revision = done.revision
      round = nil
    }
    if seen == changes.next { revision = max(revision, state.keyspace.revision) }
  }

  // MARK: Finding

  /// Takes as many whole revisions as few watchers are concerned with, or one, however many that concerns.
  private mutating func beginRound(_ state: ReplicatedState, _ steps: inout Int) {
    let changes = state.keyspace.changes
    var pairs: [(slot: Int, position: UInt64)] = []
    var end = seen
    while end < changes.next, steps > 0 {
      let revision = changes[end].revision
      var position = end
      var isWhole = true
      let before = pairs.count
      while isWhole, position < changes.next, changes[position].revision == revision {
        steps -= 1
        isWhole = index.forEach(around: changes[position].record.key) { slot in
          pairs.append((slot, position))
          return pairs.count < pairLimit
        }
        position += 1
      }
      guard isWhole else {
        pairs.removeSubrange(before...)
        guard end == seen else { break }
        end = Self.end(ofRevision: revision, from: position, in: changes)
        round = Round(positions: seen..<end, revision: revision, scanned: seen)
        return
      }
      end = position
    }
    steps -= pairs.count
    pairs.sort { ($0.slot, $0.position) < ($1.slot, $1.position) }
    var round = Round(
      positions: seen..<end,
      revision: changes[end - 1].revision,
      scanned: end
    )
    for pair in pairs {
      if round.found.last?.slot == pair.slot {
        round.found[round.found.count - 1].positions?.append(pair.position)
      } else {
        round.found.append((pair.slot, [pair.position]))
        change(pair.slot) { $0.isTouched = true }
      }
    }
    self.round = round
  }

  private static func end(
    ofRevision revision: UInt64,
    from position: UInt64,
    in changes: ChangeLog
  ) -> UInt64 {
    var end = position
    while end < changes.next, changes[end].revision == revision { end += 1 }
    return end
  }

  /// Goes on finding whom a round concerns; answers whether all are found.
  private mutating func finishFinding(_ state: ReplicatedState, _ steps: inout Int) -> Bool {
    guard var current = round else { return true }
    round = nil
    let changes = state.keyspace.changes
    while current.scanned < current.positions.upperBound, steps > 0 {
      steps -= 1
      var newlyFound: [Int] = []
      let limit = steps
      let isWhole = index.forEach(
        around: changes[current.scanned].record.key,
        after: current.lastPlace
      ) { slot in
        newlyFound.append(slot)
        return newlyFound.count < limit
      }
      steps -= newlyFound.count
      current.lastPlace = newlyFound.last.flatMap { slot in
        watchers[slot].map { RangeIndex.Place(start: $0.request.range.start, id: slot) }
      }
      for slot in newlyFound where watchers[slot]?.isTouched == false {
        change(slot) { $0.isTouched = true }
        current.found.append((slot, nil))
      }
      if isWhole {
        current.scanned += 1
        current.lastPlace = nil
      }
    }
    round = current
    return current.scanned == current.positions.upperBound
  }

  // MARK: Telling

  /// Goes on telling whom a round concerns; answers whether all were told.
  private mutating func finishTelling(
    _ state: ReplicatedState,
    _ steps: inout Int,
    into output: inout WatchOutput
  ) -> Bool {
    guard var current = round else { return true }
    round = nil
    while current.toldCount < current.found.count, steps > 0 {
      let (slot, positions) = current.found[current.toldCount]
      current.toldCount += 1
      steps -= 1
      // Whoever came into the slot meanwhile is not concerned.
      guard let watcher = watchers[slot], watcher.isTouched else { continue }
      change(slot) { $0.isTouched = false }
      guard watcher.keepsUp else { continue }
      let wanted = (positions ?? Array(current.positions)).filter { watcher.wants($0, state) }
      if positions == nil { steps -= current.positions.count }
      let part = EventPart(
        positions: wanted[...],
        through: current.revision,
        isShared: positions == nil
      )
      tell(slot, watcher, part, state, &steps, &output)
    }
    lastBody = LastBody()
    round = current
    return current.toldCount == current.found.count
  }

  private mutating func tell(
    _ slot: Int,
    _ watcher: Watcher,
    _ part: EventPart,
    _ state: ReplicatedState,
    _ steps: inout Int,
    _ output: inout WatchOutput
  ) {
    guard !part.positions.isEmpty else { return }
    var byteCount = 0
    for position in part.positions {
      byteCount += state.keyspace.changes[position].eventByteCount(of: watcher.request)
    }
    // What is long is told from history, which can stop in the middle.
    guard byteCount <= fragmentByteCount, hasRoom(watcher.id.connection, for: byteCount) else {
      // To be taken out of the index costs more than to be looked at.
      steps -= 7
      return leaveBehind(slot)
    }
    guard mayBeTold(slot, watcher, state, &output) else { return }
    steps -= 2 + send(part, to: slot, state, &output) / 512
    change(slot) { $0.next = max($0.next, part.through + 1) }
  }
}
