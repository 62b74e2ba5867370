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
/// not grow with watches elsewhere. When a connection has more than its budget of bytes unsent, its watchers are left
/// behind, and later told what they missed from the retained history, in bounded steps; nothing is buffered for them. Either
/// way each is told every change of its range once, in order, whole revisions at a time or in marked fragments.
package struct WatchTable: Sendable {
  struct Watcher: Sendable {
    let id: WatcherID
    let request: WatchRequest
    /// The place of its connection in ``accounts``.
    let account: Int
    /// The first revision that it has not been told, or not wholly.
    var next: UInt64
    /// Whether its last event said that more of ``next`` follows.
    var isInside = false
    /// Whether it has been told everything up to where the table is.
    var keepsUp: Bool
    /// While it is behind: the position to go on at.
    var position: UInt64
  }

  /// What one connection's watchers have in common.
  struct Account: Sendable {
    var unsentBytes = 0
    var slots: [Int] = []
  }

  /// The changes of the last event, which the next one often tells too.
  struct LastBody: Sendable {
    var positions: ArraySlice<UInt64> = []
    var wantsPrevious = false
    var bytes: [UInt8] = []
  }

  /// Bytes that a connection may have unsent before its watchers are left behind.
  private let byteBudget: Int
  /// An event is cut here, and goes on in the next.
  private let fragmentByteCount: Int
  private var watchers: [Watcher?] = []
  private var free: [Int] = []
  private var slots: [WatcherID: Int] = [:]
  private var accounts: [Account] = []
  private var freeAccounts: [Int] = []
  private var accountPlaces: [UInt64: Int] = [:]
  private var lastBody = LastBody()
  private var index = RangeIndex()
  /// Slots of watchers that are behind, ascending.
  private var behind: [Int] = []
  /// The slot that catches up first, so that each has its turn.
  private var firstToCatchUp = 0
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

  /// Takes all that `state` holds for told: a table without watches need not be moved on.
  package mutating func skip(to state: ReplicatedState) {
    precondition(count == 0, "nobody misses anything")
    seen = state.keyspace.changes.next
    revision = state.keyspace.revision
  }

  /// Whether a call of ``advance(on:steps:into:)`` would find watchers to tell what they missed.
  package var hasWork: Bool {
    behind.contains { mayCatchUp($0) }
  }

  /// Starts a watch; one of the same id ends.
  ///
  /// What it wants of the past is told by the calls of ``advance(on:steps:into:)`` that follow.
  ///
  /// - Returns: The first revision that it will be told of.
  @discardableResult
  package mutating func start(
    _ request: WatchRequest,
    as id: WatcherID,
    by session: SessionID,
    on state: ReplicatedState
  ) throws(Failure) -> Revision {
    if let permits = state.permits, !permits(.read(request.range), session) {
      throw Failure(.notAuthorised)
    }
    let start = request.start == .zero ? revision + 1 : request.start.rawValue
    guard start > state.keyspace.oldest else {
      throw Failure(.compacted, detail: state.keyspace.oldest + 1)
    }
    cancel(id)
    let keepsUp = start > revision
    let account = account(of: id.connection)
    let watcher = Watcher(
      id: id,
      request: request,
      account: account,
      next: start,
      keepsUp: keepsUp,
      position: state.keyspace.changes.position(ofRevision: start)
    )
    let slot = free.popLast() ?? watchers.count
    if slot == watchers.count { watchers.append(watcher) } else { watchers[slot] = watcher }
    slots[id] = slot
    accounts[account].slots.append(slot)
    if keepsUp { index.insert(request.range, id: slot) } else { leaveBehind(slot) }
    return Revision(start)
  }

  private mutating func account(of connection: UInt64) -> Int {
    if let place = accountPlaces[connection] { return place }
    let place = freeAccounts.popLast() ?? accounts.count
    if place == accounts.count { accounts.append(Account()) } else { accounts[place] = Account() }
    accountPlaces[connection] = place
    return place
  }

  /// Ends a watch; nothing more comes of it.
  package mutating func cancel(_ id: WatcherID) {
    guard let slot = slots.removeValue(forKey: id), let watcher = watchers[slot] else { return }
    if watcher.keepsUp { index.remove(watcher.request.range, id: slot) }
    if !watcher.keepsUp { behind.removeAll { $0 == slot } }
    accounts[watcher.account].slots.removeAll { $0 == slot }
    watchers[slot] = nil
    free.append(slot)
  }

  /// Ends all watches of a connection that is gone.
  package mutating func cancelAll(of connection: UInt64) {
    guard let place = accountPlaces.removeValue(forKey: connection) else { return }
    for slot in accounts[place].slots {
      if let watcher = watchers[slot] { cancel(watcher.id) }
    }
    accounts[place] = Account()
    freeAccounts.append(place)
  }

  /// How many watches a connection has.
  package func count(of connection: UInt64) -> Int {
    accountPlaces[connection].map { accounts[$0].slots.count } ?? 0
  }

  /// Notes that so many bytes of events have left the node on a connection.
  package mutating func didSend(_ byteCount: Int, on connection: UInt64) {
    guard let place = accountPlaces[connection] else { return }
    accounts[place].unsentBytes -= byteCount
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
    lastBody = LastBody()
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
        watcher.next <= revision + 1, accounts[watcher.account].unsentBytes < byteBudget
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
    let wanted = positions.filter { watcher.wants($0, state) }
    let byteCount = wanted.reduce(accounts[watcher.account].unsentBytes) {
      $0 + watcher.byteCount(ofChange: $1, state)
    }
    guard byteCount < byteBudget else { return fallBehind(slot) }
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

  private func mayCatchUp(_ slot: Int) -> Bool {
    watchers[slot].map { accounts[$0.account].unsentBytes < byteBudget / 2 } ?? false
  }

  private mutating func catchUp(
    _ state: ReplicatedState,
    steps: Int,
    into output: inout WatchOutput
  ) {
    guard !behind.isEmpty else { return }
    var stepsLeft = steps
    let split = behind.firstIndex { $0 >= firstToCatchUp } ?? 0
    for slot in behind[split...] + behind[..<split] {
      firstToCatchUp = slot
      guard stepsLeft > 0 else { return }
      if mayCatchUp(slot) { replay(slot, state, &stepsLeft, into: &output) }
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
      let end = WatchEvent(
        watch: watcher.id.watch,
        revision: Revision(watcher.next - 1),
        compactedBelow: Revision(state.keyspace.oldest + 1)
      )
      send(end, to: slot, &output)
      return cancel(watcher.id)
    }
    var position = watcher.position
    if position == .max || position < changes.first {
      position = changes.position(ofRevision: watcher.next)
    }
    guard position <= changes.next else { return }
    var wanted: [UInt64] = []
    var byteCount = 0
    while position < changes.next, stepsLeft > 0, byteCount < byteBudget / 2 {
      stepsLeft -= 1
      if watcher.wants(position, state) {
        wanted.append(position)
        byteCount += watcher.byteCount(ofChange: position, state)
      }
      position += 1
    }
    finishReplay(slot, wanted, before: position, state, &output)
  }

  /// Sends what a replay found, up to `position`, which may lie within a revision.
  private mutating func finishReplay(
    _ slot: Int,
    _ wanted: [UInt64],
    before position: UInt64,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) {
    guard let watcher = watchers[slot] else { return }
    let changes = state.keyspace.changes
    let isDone = position == changes.next
    // Everything before this revision is told now.
    let next = isDone ? max(watcher.next, state.keyspace.revision + 1) : changes[position].revision
    if watcher.isInside, next > watcher.next,
      wanted.first.map({ changes[$0].revision > watcher.next }) ?? true
    {
      // What was left of the fragmented revision is not wanted any more.
      let close = WatchEvent(watch: watcher.id.watch, revision: Revision(watcher.next))
      send(close, to: slot, &output)
      watchers[slot]?.isInside = false
    }
    let stopsInside = !isDone && wanted.last.map { changes[$0].revision == next } ?? false
    send(wanted, through: stopsInside ? next : next - 1, stopsInside, to: slot, state, &output)
    if stopsInside {
      watchers[slot]?.isInside = true
    } else if next > watcher.next {
      watchers[slot]?.isInside = false
    }
    watchers[slot]?.next = next
    watchers[slot]?.position = position
    guard isDone, accounts[watcher.account].unsentBytes < byteBudget else { return }
    watchers[slot]?.keepsUp = true
    index.insert(watcher.request.range, id: slot)
    behind.removeAll { $0 == slot }
  }

  // MARK: Events

  /// Appends events with these changes, the last of which tells everything up to `through`.
  private mutating func send(
    _ positions: [UInt64],
    through: UInt64,
    _ stopsInside: Bool = false,
    to slot: Int,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) {
    guard let watcher = watchers[slot] else { return }
    let changes = state.keyspace.changes
    var first = 0
    var byteCount = 0
    for (place, position) in positions.enumerated() {
      byteCount += watcher.byteCount(ofChange: position, state)
      let isLast = place == positions.count - 1
      guard isLast || byteCount >= fragmentByteCount else { continue }
      let revision = changes[position].revision
      let event = WatchEvent(
        watch: watcher.id.watch,
        revision: Revision(isLast ? through : revision),
        hasMore: isLast ? stopsInside : changes[positions[place + 1]].revision == revision
      )
      send(event, with: positions[first...place], to: slot, state, &output)
      first = place + 1
      byteCount = 0
    }
  }

  private mutating func send(
    _ event: WatchEvent,
    with positions: ArraySlice<UInt64>,
    to slot: Int,
    _ state: ReplicatedState,
    _ output: inout WatchOutput
  ) {
    guard let watcher = watchers[slot] else { return }
    let wantsPrevious = watcher.request.wantsPrevious
    if lastBody.positions != positions || lastBody.wantsPrevious != wantsPrevious {
      lastBody = LastBody(positions: positions, wantsPrevious: wantsPrevious)
      for position in positions {
        let change = state.keyspace.changes[position].event(wantsPrevious: wantsPrevious)
        change.encode(into: &lastBody.bytes)
      }
    }
    let start = output.bytes.count
    Event.watch(event).encode(into: &output.bytes)
    // The list of changes is the event's last field, and was empty so far.
    output.bytes.overwrite(at: output.bytes.count - 4, littleEndian: UInt32(positions.count))
    output.bytes += lastBody.bytes
    didAppend(watcher, from: start, &output)
  }

  private mutating func send(_ event: WatchEvent, to slot: Int, _ output: inout WatchOutput) {
    guard let watcher = watchers[slot] else { return }
    let start = output.bytes.count
    Event.watch(event).encode(into: &output.bytes)
    didAppend(watcher, from: start, &output)
  }

  private mutating func didAppend(
    _ watcher: Watcher,
    from start: Int,
    _ output: inout WatchOutput
  ) {
    output.events.append((watcher.id, start..<output.bytes.count))
    accounts[watcher.account].unsentBytes += output.bytes.count - start
  }
}

extension WatchTable.Watcher {
  /// About how many bytes the change at a position takes in an event.
  func byteCount(ofChange position: UInt64, _ state: ReplicatedState) -> Int {
    let change = state.keyspace.changes[position]
    let byteCount = change.record.encodedByteCount(withValue: true)
    guard request.wantsPrevious, let previous = change.previous else { return byteCount }
    return byteCount + previous.encodedByteCount(withValue: true)
  }

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
