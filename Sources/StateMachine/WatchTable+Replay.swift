internal import RoostWire

/// Those who are behind: told from the retained history, one after the other.
extension WatchTable {
  mutating func catchUp(
    _ state: ReplicatedState,
    _ steps: inout Int,
    into output: inout WatchOutput
  ) {
    while steps > 0, let connection = waiting.popFirst() {
      accounts[connection]?.isQueued = false
      steps -= 1
      guard let slot = accounts[connection]?.behind.popFirst() else { continue }
      // The slot may be another's meanwhile, or nobody's.
      if let watcher = watchers[slot], watcher.id.connection == connection, !watcher.keepsUp {
        replay(slot, watcher, state, &steps, into: &output)
        if watchers[slot]?.keepsUp == false { accounts[connection]?.behind.append(slot) }
      }
      queue(connection)
    }
  }

  private mutating func replay(
    _ slot: Int,
    _ watcher: Watcher,
    _ state: ReplicatedState,
    _ steps: inout Int,
    into output: inout WatchOutput
  ) {
    let changes = state.keyspace.changes
    guard watcher.next > state.keyspace.oldest else {
      let lowest = Revision(state.keyspace.oldest + 1)
      send(.end(watcher.next - 1, compactedBelow: lowest), to: Audience(watcher), &output)
      return cancel(watcher.id)
    }
    guard mayBeTold(watcher.request.range, watcher.session, state) else {
      send(.end(watcher.next - 1, compactedBelow: .zero), to: Audience(watcher), &output)
      return cancel(watcher.id)
    }
    var position = watcher.position
    if position == .max || position < changes.first {
      position = changes.position(ofRevision: watcher.next)
    }
    guard position <= changes.next else { return }
    var wanted: [UInt64] = []
    var byteCount = 0
    while position < changes.next, byteCount < fragmentByteCount, steps > 0 {
      steps -= 1
      if watcher.wants(position, state) {
        wanted.append(position)
        byteCount += changes[position].eventByteCount(withPrevious: watcher.request.wantsPrevious)
      }
      position += 1
    }
    steps -= byteCount / 512
    finishReplay(slot, watcher, wanted, position, state, &output)
  }

  /// Tells what was found before `position`, and notes where to go on.
  private mutating func finishReplay(
    _ slot: Int,
    _ watcher: Watcher,
    _ wanted: [UInt64],
    _ position: UInt64,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) {
    let changes = state.keyspace.changes
    let isDone = position == changes.next
    // The revision in which `position` lies is told to its end, unless it began there.
    let isInside =
      !isDone && position > changes.first
      && changes[position].revision == changes[position - 1].revision
    let whole = isDone ? state.keyspace.revision : changes[position].revision - 1
    var owesRest = isInside && watcher.owesRest && changes[position].revision == watcher.next
    if let last = wanted.last, isInside, changes[last].revision == changes[position].revision {
      owesRest = true
      let part = EventPart(positions: wanted[...], through: whole + 1, hasMore: true)
      send(part, to: Audience(watcher), state, &output)
    } else if !wanted.isEmpty {
      let part = EventPart(positions: wanted[...], through: whole, hasMore: false)
      send(part, to: Audience(watcher), state, &output)
    } else if watcher.owesRest, !owesRest {
      // More was announced, and none of it is wanted.
      send(.note(through: whole), to: Audience(watcher), &output)
    }
    change(slot) { watcher in
      watcher.next = max(watcher.next, whole + 1)
      watcher.position = position
      watcher.owesRest = owesRest
    }
    guard isDone, hasRoom(watcher.id.connection) else { return }
    join(slot)
  }
}

extension WatchTable.Watcher {
  /// Whether this watcher is to be told the change at a position.
  func wants(_ position: UInt64, _ state: ReplicatedState) -> Bool {
    state.keyspace.changes[position].revision >= next && request.wants(position, state)
  }
}

extension WatchRequest {
  /// Whether the change at a position is wanted, if its revision is.
  func wants(_ position: UInt64, _ state: ReplicatedState) -> Bool {
    let change = state.keyspace.changes[position]
    let isRemoval = change.record.isTombstone
    if isRemoval {
      // Made and removed again by one transaction: nobody has ever seen it.
      guard !withoutRemovals, change.previous?.isTombstone == false else { return false }
    } else if withoutPuts {
      return false
    }
    return change.record.withKey { key in
      guard Record.compare(key, range.start.span) >= 0 else { return false }
      if let end = range.end, Record.compare(key, end.span) >= 0 { return false }
      guard newestOnly else { return true }
      return state.keyspace.map.find(key)?.isSameVersion(as: change.record) ?? isRemoval
    }
  }
}

extension ChangeLog {
  /// The position of the first kept change of `revision` or a later one.
  func position(ofRevision revision: UInt64) -> UInt64 {
    var (low, high) = (first, next)
    while low < high {
      let middle = low + (high - low) / 2
      if self[middle].revision < revision { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
