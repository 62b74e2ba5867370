package import RoostWire

/// Names a watch on this node: the connection and the client's number on it.
package struct WatcherID: Hashable, Sendable {
  package let connection: UInt64
  package let watch: UInt64

  package init(connection: UInt64, watch: UInt64) {
    self.connection = connection
    self.watch = watch
  }
}

/// Events for watchers, in one buffer that is used again turn after turn.
package struct WatchOutput: Sendable {
  package internal(set) var bytes: [UInt8] = []
  /// For whom each `Event` in ``bytes`` is, and where it lies.
  package internal(set) var events: [(watcher: WatcherID, bytes: Range<Int>)] = []

  package init() {}

  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    events.removeAll(keepingCapacity: true)
  }
}

/// The watches of one node's clients: not part of the replicated state, but moved on along its changes.
///
/// A watcher that keeps up is found through an index by the key that changed, so what a write costs does
/// not grow with watches elsewhere. One that has more than its budget of bytes unsent is left behind, and
/// later told what it missed from the retained history, in bounded steps; it is never buffered for. Either way it
/// is told every change of its range once, in order, whole revisions at a time or in marked fragments.
package struct WatchTable: Sendable {
  struct Watcher: Sendable {
    let id: WatcherID
    let request: WatchRequest
    /// The first revision that it has not been told.
    var next: UInt64
    var unsentBytes = 0
    /// Whether it has been told everything up to where the table is.
    var keepsUp: Bool
    /// While it is behind: the position to go on at.
    var position: UInt64
  }

  /// Bytes that a watcher may have unsent before it is left behind.
  private let byteBudget: Int
  /// An event is cut here, and goes on in the next.
  private let fragmentByteCount: Int
  private var watchers: [Watcher?] = []
  private var free: [Int] = []
  private var slots: [WatcherID: Int] = [:]
  private var index = RangeIndex()
  /// Slots of watchers that are behind, ascending.
  private var behind: [Int] = []
  /// The position of the first change that the table has not seen.
  private var seen: UInt64
  private var revision: UInt64

  /// An empty table beside `state`.
  package init(
    beside state: ReplicatedState,
    byteBudget: Int = 4 << 20,
    fragmentByteCount: Int = 1 << 18
  ) {
    self.byteBudget = byteBudget
    self.fragmentByteCount = fragmentByteCount
    seen = state.keyspace.changes.next
    revision = state.keyspace.revision
  }

  package var count: Int { slots.count }

  /// Whether a call of ``advance(on:steps:into:)`` would find watchers to tell what they missed.
  package var hasWork: Bool {
    behind.contains { slot in watchers[slot].map { $0.unsentBytes < byteBudget / 2 } ?? false }
  }

  /// Starts a watch; one of the same id ends.
  ///
  /// What it wants of the past is told by the calls of ``advance(on:steps:into:)`` that follow.
  package mutating func start(
    _ request: WatchRequest,
    as id: WatcherID,
    by session: SessionID,
    on state: ReplicatedState
  ) throws(Failure) {
    if let permits = state.permits, !permits(.read(request.range), session) {
      throw Failure(.notAuthorised)
    }
    let start = request.start == .zero ? revision + 1 : request.start.rawValue
    guard start > state.keyspace.oldest else {
      throw Failure(.compacted, detail: state.keyspace.oldest + 1)
    }
    cancel(id)
    let keepsUp = start > revision
    let watcher = Watcher(
      id: id,
      request: request,
      next: start,
      keepsUp: keepsUp,
      position: state.keyspace.changes.position(ofRevision: start)
    )
    let slot = free.popLast() ?? watchers.count
    if slot == watchers.count { watchers.append(watcher) } else { watchers[slot] = watcher }
    slots[id] = slot
    if keepsUp { index.insert(request.range, id: slot) } else { leaveBehind(slot) }
  }

  /// Ends a watch; nothing more comes of it.
  package mutating func cancel(_ id: WatcherID) {
    guard let slot = slots.removeValue(forKey: id), let watcher = watchers[slot] else { return }
    if watcher.keepsUp { index.remove(watcher.request.range, id: slot) }
    behind.removeAll { $0 == slot }
    watchers[slot] = nil
    free.append(slot)
  }

  /// Ends all watches of a connection.
  package mutating func cancelAll(of connection: UInt64) {
    for watcher in watchers {
      guard let watcher, watcher.id.connection == connection else { continue }
      cancel(watcher.id)
    }
  }

  /// Notes that so many bytes of a watcher's events have left the node.
  package mutating func didSend(_ byteCount: Int, to id: WatcherID) {
    guard let slot = slots[id] else { return }
    watchers[slot]?.unsentBytes -= byteCount
  }

  /// Tells watchers what has changed since the last call.
  ///
  /// - Parameters:
  ///   - state: The state after the entries that were applied meanwhile.
  ///   - steps: Changes that may be looked at for watchers that are behind; the rest waits for the next call.
  ///   - output: Where events are appended.
  package mutating func advance(
    on state: ReplicatedState,
    steps: Int = 4096,
    into output: inout WatchOutput
  ) {
    let changes = state.keyspace.changes
    if seen < changes.first {
      // A snapshot took the place of the state: what came between can only be found in history.
      for slot in watchers.indices where watchers[slot]?.keepsUp == true { fallBehind(slot) }
      seen = changes.first
    }
    tellThoseWhoKeepUp(state, into: &output)
    seen = max(seen, changes.next)
    revision = max(revision, state.keyspace.revision)
    catchUp(state, steps: steps, into: &output)
  }

  /// Appends a note to every watcher that wants notes and has been told everything.
  package mutating func noteProgress(into output: inout WatchOutput) {
    for slot in watchers.indices {
      guard let watcher = watchers[slot], watcher.keepsUp, watcher.request.wantsProgress,
        watcher.next <= revision + 1
      else { continue }
      send(WatchEvent(watch: watcher.id.watch, revision: Revision(revision)), to: slot, &output)
    }
  }

  // MARK: Those who keep up

  private mutating func tellThoseWhoKeepUp(
    _ state: ReplicatedState,
    into output: inout WatchOutput
  ) {
    let changes = state.keyspace.changes
    guard seen < changes.next, index.count > 0 else { return }
    var found: [(slot: Int, position: UInt64)] = []
    for position in seen..<changes.next {
      index.forEach(around: changes[position].record.key) { slot in
        found.append((slot, position))
      }
    }
    found.sort { ($0.slot, $0.position) < ($1.slot, $1.position) }
    var first = 0
    while first < found.count {
      let slot = found[first].slot
      var last = first
      while last < found.count, found[last].slot == slot { last += 1 }
      tell(slot, found[first..<last].map { $0.position }, state, &output)
      first = last
    }
  }

  private mutating func tell(
    _ slot: Int,
    _ positions: [UInt64],
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) {
    guard let watcher = watchers[slot] else { return }
    guard watcher.unsentBytes < byteBudget else { return fallBehind(slot) }
    let wanted = positions.filter { watcher.wants($0, state) }
    send(wanted, through: state.keyspace.revision, to: slot, state, &output)
    watchers[slot]?.next = max(watcher.next, state.keyspace.revision + 1)
  }

  // MARK: Those who are behind

  private mutating func fallBehind(_ slot: Int) {
    guard let watcher = watchers[slot], watcher.keepsUp else { return }
    index.remove(watcher.request.range, id: slot)
    watchers[slot]?.keepsUp = false
    watchers[slot]?.next = max(watcher.next, revision + 1)
    watchers[slot]?.position = .max
    leaveBehind(slot)
  }

  private mutating func leaveBehind(_ slot: Int) {
    behind.append(slot)
    behind.sort()
  }

  private mutating func catchUp(
    _ state: ReplicatedState,
    steps: Int,
    into output: inout WatchOutput
  ) {
    var stepsLeft = steps
    // Whoever came first today comes last next time.
    let order = behind
    for slot in order {
      guard stepsLeft > 0 else { break }
      guard let watcher = watchers[slot], watcher.unsentBytes < byteBudget / 2 else { continue }
      replay(slot, state, &stepsLeft, into: &output)
    }
  }

  private mutating func replay(
    _ slot: Int,
    _ state: ReplicatedState,
    _ stepsLeft: inout Int,
    into output: inout WatchOutput
  ) {
    guard let watcher = watchers[slot] else { return }
    let changes = state.keyspace.changes
    guard watcher.next > state.keyspace.oldest else {
      let lowest = Revision(state.keyspace.oldest + 1)
      send(
        WatchEvent(
          watch: watcher.id.watch,
          revision: Revision(watcher.next - 1),
          compactedBelow: lowest
        ),
        to: slot,
        &output
      )
      return cancel(watcher.id)
    }
    var position = watcher.position
    if position == .max || position < changes.first {
      position = changes.position(ofRevision: watcher.next)
    }
    guard position <= changes.next else { return }
    var wanted: [UInt64] = []
    var byteCount = 0
    while position < changes.next, byteCount < byteBudget / 2 {
      // A revision is never left in the middle.
      let isBorder =
        position == changes.first || changes[position].revision > changes[position - 1].revision
      guard stepsLeft > 0 || !isBorder else { break }
      stepsLeft -= 1
      if watcher.wants(position, state) {
        wanted.append(position)
        byteCount += changes[position].record.encodedByteCount(withValue: true)
      }
      position += 1
    }
    let isDone = position == changes.next
    let through = isDone ? state.keyspace.revision : changes[position].revision - 1
    finishReplay(slot, wanted, position, through, state, &output)
  }

  private mutating func finishReplay(
    _ slot: Int,
    _ wanted: [UInt64],
    _ position: UInt64,
    _ through: UInt64,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) {
    guard let watcher = watchers[slot] else { return }
    let isDone = position == state.keyspace.changes.next
    send(wanted, through: through, to: slot, state, &output)
    watchers[slot]?.next = max(watcher.next, through + 1)
    watchers[slot]?.position = position
    guard isDone, (watchers[slot]?.unsentBytes ?? 0) < byteBudget else { return }
    watchers[slot]?.keepsUp = true
    index.insert(watcher.request.range, id: slot)
    behind.removeAll { $0 == slot }
  }

  // MARK: Events

  /// Appends events with these changes, the last of which tells everything up to `through`.
  private mutating func send(
    _ positions: [UInt64],
    through: UInt64,
    to slot: Int,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) {
    guard let watcher = watchers[slot], !positions.isEmpty else { return }
    let changes = state.keyspace.changes
    var parts: [WatchEvent.Change] = []
    var byteCount = 0
    for (place, position) in positions.enumerated() {
      let change = changes[position]
      parts.append(change.event(wantsPrevious: watcher.request.wantsPrevious))
      byteCount += change.record.encodedByteCount(withValue: true)
      if watcher.request.wantsPrevious {
        byteCount += change.previous?.encodedByteCount(withValue: true) ?? 0
      }
      let isLast = place == positions.count - 1
      guard isLast || byteCount >= fragmentByteCount else { continue }
      let hasMore = !isLast && changes[positions[place + 1]].revision == change.revision
      let event = WatchEvent(
        watch: watcher.id.watch,
        revision: Revision(isLast ? through : change.revision),
        hasMore: hasMore,
        changes: parts
      )
      send(event, to: slot, &output)
      parts = []
      byteCount = 0
    }
  }

  private mutating func send(_ event: WatchEvent, to slot: Int, _ output: inout WatchOutput) {
    guard let id = watchers[slot]?.id else { return }
    let start = output.bytes.count
    Event.watch(event).encode(into: &output.bytes)
    output.events.append((id, start..<output.bytes.count))
    watchers[slot]?.unsentBytes += output.bytes.count - start
  }
}

extension WatchTable.Watcher {
  /// Whether this watcher is to be told the change at a position.
  func wants(_ position: UInt64, _ state: ReplicatedState) -> Bool {
    let change = state.keyspace.changes[position]
    guard change.revision >= next else { return false }
    let isRemoval = change.record.isTombstone
    if isRemoval {
      // Made and removed again by one transaction: nobody has ever seen it.
      guard !request.withoutRemovals, change.previous?.isTombstone == false else { return false }
    } else if request.withoutPuts {
      return false
    }
    return change.record.withKey { key in
      guard Record.compare(key, request.range.start.span) >= 0 else { return false }
      if let end = request.range.end, Record.compare(key, end.span) >= 0 { return false }
      guard request.newestOnly else { return true }
      return state.keyspace.map.find(key)?.isSameVersion(as: change.record) ?? isRemoval
    }
  }
}

extension Change {
  /// The change as watchers are told it.
  func event(wantsPrevious: Bool) -> WatchEvent.Change {
    let previous = wantsPrevious ? previous.flatMap { $0.isTombstone ? nil : $0 } : nil
    return WatchEvent.Change(
      isRemoval: record.isTombstone,
      entry: record.keyValue,
      previous: previous?.keyValue
    )
  }
}

extension Record {
  /// The version as a value of the wire.
  var keyValue: KeyValue {
    KeyValue(
      key: key,
      value: value,
      revisions: (Revision(created), Revision(modified)),
      version: version,
      lease: lease
    )
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
