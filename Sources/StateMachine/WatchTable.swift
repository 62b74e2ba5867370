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
  /// For which connection each `Event` in ``bytes`` is, how many of its watches it names, and where it lies.
  package internal(set) var events: [(connection: UInt64, watchCount: Int, bytes: Range<Int>)] = []

  package init() {}

  package mutating func removeAll() {
    bytes.removeAll(keepingCapacity: true)
    events.removeAll(keepingCapacity: true)
  }
}

/// The watches of one node's clients: not part of the replicated state, but moved on along its changes.
///
/// A watcher that keeps up is found through an index by the key that changed, so what a write costs does
/// not grow with watches elsewhere. Those of one connection that want the same are found and told together. When a connection has more than its budget of bytes unsent, its watchers are left
/// behind, and later told what they missed from the retained history; nothing is buffered for them. Either way each
/// is told every change of its range once, in order, whole revisions at a time or in marked fragments.
///
/// No call does more than a bounded number of steps, however many watch one key or end at once; while
/// ``hasWork`` is true, another call goes on where the last one stopped.
package struct WatchTable: Sendable {
  struct Watcher: Sendable {
    let id: WatcherID
    let request: WatchRequest
    let session: SessionID
    /// The first revision that it has not been told wholly; while it keeps up, its party knows better.
    var next: UInt64
    /// While it is behind: the position to go on at.
    var position: UInt64
    /// While it keeps up: with whom it is told.
    var party: Int?
    /// Whether a fragment of revision `next` was sent that announced more.
    var owesRest = false

    /// Whether it is told by the keys that change, from the index; else from history, as its turn comes.
    var keepsUp: Bool { party != nil }
  }

  /// What one connection's watchers have in common.
  struct Account: Sendable {
    var count = 0
    var unsentBytes = 0
    /// Slots of those that are behind, in turn; some have ended meanwhile.
    var behind = Queue<Int>()
    /// Whether the connection waits for its turn to catch up.
    var isQueued = false
  }

  /// Bytes that a connection may have unsent before its watchers are left behind.
  let byteBudget: Int
  /// An event is cut here, and goes on in the next.
  let fragmentByteCount: Int
  /// Parties of one round that are found in one go; a revision that concerns more is told over several calls.
  let pairLimit: Int
  var watchers = ChunkedArray<Watcher?>()
  private var free: [Int] = []
  /// Slots by connection and number, most significant byte first.
  private var slots = OrderedMap()
  /// Those who keep up, in parties, and the ranges of these.
  var parties = PartyTable()
  /// Connections that have watches, by number.
  var accounts: [UInt64: Account] = [:]
  /// Connections with watchers that are behind and can be told, in turn; some are gone meanwhile.
  var waiting = Queue<UInt64>()
  /// The changes of the last event in a round that concerns many, which the next one often tells too.
  var lastBody = LastBody()
  /// Connections whose watches end, in steps.
  private var closing: [UInt64] = []
  /// The next party to get a note of progress, while notes are given.
  private var noted: Int?
  /// The position of the first change that the table has not told those who keep up.
  var seen: UInt64
  /// The revision up to which all who keep up have been told.
  var revision: UInt64
  /// Changes that are being told, if that took more than one call.
  var round: Round?
  /// Whether the last call left something for another.
  private var isUnfinished = false

  /// An empty table beside `state`.
  package init(
    beside state: ReplicatedState,
    byteBudget: Int = 4 << 20,
    fragmentByteCount: Int = 1 << 18,
    pairLimit: Int = 512
  ) {
    self.byteBudget = byteBudget
    self.fragmentByteCount = fragmentByteCount
    self.pairLimit = pairLimit
    seen = state.keyspace.changes.next
    revision = state.keyspace.revision
  }

  package var count: Int { slots.count }

  /// How many watches a connection has.
  package func count(of connection: UInt64) -> Int { accounts[connection]?.count ?? 0 }

  /// Takes all that `state` holds for told: a table without watches need not be moved on.
  package mutating func skip(to state: ReplicatedState) {
    precondition(count == 0, "nobody misses anything")
    round = nil
    seen = state.keyspace.changes.next
    revision = state.keyspace.revision
  }

  /// Whether a call of ``advance(on:steps:into:)`` would find something to do without a new change.
  package var hasWork: Bool {
    count > 0 && (isUnfinished || !waiting.isEmpty || !closing.isEmpty || noted != nil)
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
    // Who comes while a round is under way would miss what of it was told already.
    let keepsUp = start > max(revision, round?.revision ?? 0)
    let watcher = Watcher(
      id: id,
      request: request,
      session: session,
      next: start,
      position: state.keyspace.changes.position(ofRevision: start)
    )
    let slot = free.popLast() ?? watchers.count
    if slot == watchers.count { watchers.append(watcher) } else { watchers[slot] = watcher }
    slots.setSlot(UInt32(slot), under: id.key)
    accounts[id.connection, default: Account()].count += 1
    if keepsUp { join(slot) } else { queue(slot, of: id.connection) }
    return Revision(start)
  }

  /// Ends a watch; nothing more comes of it.
  package mutating func cancel(_ id: WatcherID) { _ = end(id) }

  /// Ends a watch; answers in how many steps.
  private mutating func end(_ id: WatcherID) -> Int {
    let key = id.key
    guard let slot = slots.slot(under: key).map({ Int($0) }), let watcher = watchers[slot] else {
      return 1
    }
    slots.remove(key.span)
    if let party = watcher.party { parties.remove(slot, from: party) }
    accounts[id.connection]?.count -= 1
    watchers[slot] = nil
    free.append(slot)
    return watcher.keepsUp ? 10 : 3
  }

  /// Ends all watches of a connection that is gone: nothing more comes of them.
  ///
  /// A bounded number is cleared away at once, and the rest in the next calls of ``advance(on:steps:into:)``.
  package mutating func cancelAll(of connection: UInt64) {
    guard accounts.removeValue(forKey: connection) != nil else { return }
    closing.append(connection)
    var steps = 256
    closeConnections(&steps)
  }

  private mutating func closeConnections(_ steps: inout Int) {
    while steps > 0, let connection = closing.first {
      var ids: [WatcherID] = []
      let start = connection.bigEndianBytes
      slots.visit(from: start.span, to: KeyRange(prefix: start).end) { record in
        guard ids.count < max(steps / 10, 1), let id = watchers[Int(record.created)]?.id else {
          return false
        }
        ids.append(id)
        return true
      }
      for id in ids { steps -= end(id) }
      guard ids.isEmpty else { continue }
      closing.removeFirst()
      steps -= 2
    }
  }

  /// Notes that so many bytes of events have left the node on a connection.
  package mutating func didSend(_ byteCount: Int, on connection: UInt64) {
    accounts[connection]?.unsentBytes -= byteCount
    queue(connection)
  }

  /// Lets a watcher that is behind wait for its turn.
  mutating func queue(_ slot: Int, of connection: UInt64) {
    accounts[connection]?.behind.append(slot)
    queue(connection)
  }

  /// Lets a connection wait for its turn, if any of its watchers is behind and may be told more.
  mutating func queue(_ connection: UInt64) {
    guard let account = accounts[connection], !account.isQueued, !account.behind.isEmpty,
      account.unsentBytes < byteBudget / 2
    else { return }
    accounts[connection]?.isQueued = true
    waiting.append(connection)
  }

  /// Changes the watcher in a slot where it lies.
  mutating func change(_ slot: Int, _ body: (inout Watcher) -> Void) {
    watchers.update(slot) { watcher in
      guard var changed = watcher.take() else { return }
      body(&changed)
      watcher = changed
    }
  }

  /// Tells watchers what has changed since the last call, as far as the steps suffice.
  ///
  /// - Parameters:
  ///   - state: The state after the entries that were applied meanwhile.
  ///   - steps: What may be looked at and told for those who are behind; an event takes more the longer it is.
  ///   - tellingSteps: The same for those who keep up, for notes, and for connections that are gone.
  ///   - output: Where events are appended.
  package mutating func advance(
    on state: ReplicatedState,
    steps: Int = 1000,
    tellingSteps: Int = 1000,
    into output: inout WatchOutput
  ) {
    let changes = state.keyspace.changes
    if seen < changes.first { loseTrack(state) }
    var telling = tellingSteps
    closeConnections(&telling)
    tellThoseWhoKeepUp(state, &telling, into: &output)
    noteProgress(&telling, into: &output)
    // Whoever is behind gets on in any case, but less if much was told: both together must not take long.
    var catchingUp = max(steps - (tellingSteps - telling) / 2, steps / 4)
    catchUp(state, &catchingUp, into: &output)
    isUnfinished = seen < changes.next
  }

  /// Begins to give a note to every watcher that wants notes and has been told everything.
  package mutating func noteProgress(into output: inout WatchOutput) {
    guard noted == nil else { return }
    noted = 0
    var steps = 1000
    noteProgress(&steps, into: &output)
  }

  private mutating func noteProgress(_ steps: inout Int, into output: inout WatchOutput) {
    while let number = noted, steps > 0 {
      guard number < parties.limit else { return noted = nil }
      noted = number + 1
      steps -= 1
      guard let party = parties[number], party.request.wantsProgress, hasRoom(party.connection)
      else { continue }
      let watches = party.members.filter { $0.next <= revision + 1 }.map(\.watch)
      guard !watches.isEmpty else { continue }
      steps -= 2 + watches.count / 64
      send(.note(through: revision), to: Audience(watches, of: party), &output)
    }
  }

  /// What came between can only be found in history: a snapshot took the place of the state, or what was still
  /// to be told was forgotten.
  private mutating func loseTrack(_ state: ReplicatedState) {
    round = nil
    for party in parties.removeAll() { fallBehind(party) }
    seen = state.keyspace.changes.next
    revision = max(revision, state.keyspace.revision)
  }

  /// Lets a watcher be told with those who keep up from now on.
  mutating func join(_ slot: Int) {
    guard let watcher = watchers[slot] else { return }
    let party = parties.add(watcher, in: slot)
    change(slot) { $0.party = party }
  }

  /// Lets those of a party be told from history from now on.
  mutating func leaveBehind(_ number: Int) {
    if let party = parties.remove(number) { fallBehind(party) }
  }

  private mutating func fallBehind(_ party: Party) {
    let revision = revision
    for member in party.members {
      change(member.slot) { watcher in
        watcher.party = nil
        watcher.next = max(member.next, revision + 1)
        watcher.position = .max
      }
      queue(member.slot, of: party.connection)
    }
  }

  /// Whether a connection lives and has less than its budget unsent, with so many bytes more.
  func hasRoom(_ connection: UInt64, for byteCount: Int = 0) -> Bool {
    guard let account = accounts[connection] else { return false }
    return account.unsentBytes + byteCount < byteBudget
  }
}

extension WatcherID {
  /// Connection and number as bytes that sort as they do.
  fileprivate var key: [UInt8] { connection.bigEndianBytes + watch.bigEndianBytes }
}

extension WatchTable {
  /// Things that leave in the order in which they came.
  struct Queue<Element: Sendable>: Sendable {
    private var elements: [Element] = []
    private var head = 0

    var isEmpty: Bool { head == elements.count }
    var count: Int { elements.count - head }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func popFirst() -> Element? {
      guard head < elements.count else { return nil }
      defer { head += 1 }
      if head > 1024, head > elements.count / 2 {
        elements.removeFirst(head)
        head = 0
      }
      return elements[head]
    }
  }
}
