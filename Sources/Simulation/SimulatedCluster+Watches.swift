import RoostClientCore
import RoostReplica
import RoostStateMachine
import RoostWire

/// One watch of a client, and how far it has been told.
struct RecordedWatch {
  let client: Int
  let generation: Int
  let request: WatchRequest
  /// The newest revision that anybody had heard of when it was asked for.
  let known: Revision
  /// Whether a node has begun it.
  var isStarted = false
  /// The place in the record of changes of what it must be told next, or later.
  var place = 0
  var isOver = false

  func wants(_ change: WatchEvent.Change) -> Bool {
    guard request.range.contains(change.entry.key) else { return false }
    return change.isRemoval ? !request.withoutRemovals : !request.withoutPuts
  }

  /// Takes in from where it is told; answers what is wrong about that.
  mutating func didStart(at revision: Revision, in record: ChangeRecord) -> String? {
    isStarted = true
    place = record.place(of: revision)
    if request.start == .zero, revision <= known {
      return "begins at \(revision), and \(known) was known"
    }
    if request.start != .zero, revision != request.start {
      return "was wanted from \(request.start) and begins at \(revision)"
    }
    return nil
  }

  /// Takes in what it is told, and that this is everything up to a revision; answers what is wrong about it.
  ///
  /// It must be what comes next, all of it, and nothing else.
  mutating func wasTold(
    _ told: [WatchEvent.Change],
    through end: Revision?,
    in record: ChangeRecord
  ) -> String? {
    let changes = record.changes
    for change in told {
      while place < changes.count, !wants(changes[place]) { place += 1 }
      guard place < changes.count, changes[place].tells(change) else {
        let expected = place < changes.count ? changes[place].story : "nothing"
        return "is told of a \(change.story) instead of \(expected)"
      }
      place += 1
    }
    guard let end else { return nil }
    while place < changes.count, changes[place].entry.modified <= end {
      guard !wants(changes[place]) else { return "is at \(end) without a \(changes[place].story)" }
      place += 1
    }
    return nil
  }
}

/// Watches and other news: as nodes send them, as clients take them, and whether they are told what happened.
extension SimulatedCluster {
  // MARK: Nodes

  func noteSession(
    of body: borrowing Span<UInt8>,
    on connection: ClientConnection,
    _ life: NodeLife
  ) {
    var input = body.extracting(...)
    guard let number = try? input.read(UInt64.self), number > 0 else { return }
    life.sessionRoutes[SessionID(number)] = connection.token
  }

  func forget(_ connection: ClientConnection, _ life: NodeLife) {
    life.connections[connection.token] = nil
    life.sessionRoutes = life.sessionRoutes.filter { $0.value != connection.token }
    if connection.watches { life.replica.lostWatcher(connection.token) }
  }

  func routeNews(_ life: NodeLife) {
    guard !life.effects.news.isEmpty else { return }
    for news in life.effects.news.locks {
      guard let token = life.sessionRoutes[news.session], let connection = life.connections[token]
      else { continue }
      append(life.effects.news.lockBytes[news.range], news.session.rawValue, connection, life)
    }
    for (token, watchCount, range) in life.effects.news.watches.events {
      if watchCount > 1 { meet(.watchesToldTogether) }
      guard let connection = life.connections[token] else { continue }
      append(life.effects.news.watches.bytes[range], 0, connection, life)
      connection.unsentEvents += range.count
    }
    life.effects.news.removeAll()
  }

  private func append(
    _ event: ArraySlice<UInt8>,
    _ correlation: UInt64,
    _ connection: ClientConnection,
    _ life: NodeLife
  ) {
    connection.outbox.appendFrame(.event, correlation: correlation) { $0 += event }
    markDirty(connection, of: life)
  }

  /// What has left makes room for further events.
  func noteSentEvents(_ life: NodeLife) {
    for token in life.connections.keys.sorted() {
      guard let connection = life.connections[token], connection.unsentEvents > 0,
        connection.downward?.byteCount ?? 0 < 4096
      else { continue }
      life.replica.didSendEvents(connection.unsentEvents, on: token)
      connection.unsentEvents = 0
    }
  }

  // MARK: Clients

  /// How many watches of a client may want the same.
  static let readerLimit = 3

  func startWatches(of client: SimulatedClient) {
    for _ in 0..<client.plan.watches {
      var random = client.random.split()
      let request = drawWatch(client, from: nil, &random)
      // Several readers of the same share what the connection brings.
      let readers = random.chance(1, in: 2) ? 1 + random.below(UInt64(Self.readerLimit)) : 1
      for _ in 0..<readers { startWatch(request, client) }
    }
  }

  private func startWatch(_ client: SimulatedClient, from start: Revision) {
    var random = client.random.split()
    startWatch(drawWatch(client, from: start, &random), client)
  }

  /// Some of the keys, from now on or from some time ago.
  private func drawWatch(
    _ client: SimulatedClient,
    from start: Revision?,
    _ random: inout SplitMix64
  ) -> WatchRequest {
    let prefix = ["", "k", "n", "e", "a"][Int(random.below(5))]
    var first = start ?? .zero
    let newest = judge.oracle.revision.rawValue
    if start == nil, newest > 0, random.chance(1, in: 3) {
      first = Revision(newest - random.below(min(newest, 60)))
      meet(.watchReplayed)
    }
    var request = WatchRequest(
      watch: 0,
      range: prefix.isEmpty ? .everything : KeyRange(prefix: Array(prefix.utf8)),
      start: first
    )
    request.withoutPuts = random.chance(1, in: 10)
    request.withoutRemovals = !request.withoutPuts && random.chance(1, in: 10)
    request.wantsProgress = random.chance(1, in: 2)
    return request
  }

  private func startWatch(_ request: WatchRequest, _ client: SimulatedClient) {
    let id = client.machine.watch(request, now: client.now(now), into: &client.effects)
    client.watches[id] = watches.count
    watches.append(
      RecordedWatch(
        client: client.number,
        generation: client.generation,
        request: request,
        known: knownRevision
      )
    )
    let prefix = String(decoding: request.range.start, as: UTF8.self)
    tell("client \(client.number + 1)", "watches '\(prefix)' from \(request.start) as watch \(id)")
    perform(client)
  }

  func take(_ notice: ClientNotice, _ client: SimulatedClient) {
    switch notice {
    case .watch(let id, let news):
      guard let number = client.watches[id] else {
        return breach("stray news", "client \(client.number + 1) has no watch \(id)")
      }
      take(news, of: number, id, client)
    case .lockLost: meet(.clientToldOfLoss)
    case .sessionEnded(let session): judgeLoss(of: session.rawValue, "session", client)
    case .leaseEnded(let lease):
      judgeLoss(of: lease, "lease", client)
      client.keptLeases.removeAll { $0 == lease }
    }
  }

  private func take(
    _ news: WatchNews,
    of number: Int,
    _ id: WatchID,
    _ client: SimulatedClient
  ) {
    switch news {
    case .started(let from):
      if let problem = watches[number].didStart(at: from, in: judge.record) {
        breach("watch", "watch \(id) \(problem)")
      }
    case .changes(let changes, let revision, let isWhole):
      tell("client \(client.number + 1)", "is told of \(changes.count) changes to \(revision)")
      let end = isWhole ? revision : nil
      if let problem = watches[number].wasTold(changes, through: end, in: judge.record) {
        breach("watch", "watch \(id) \(problem)")
      }
      let byteCount = changes.reduce(0) { $0 + $1.byteCount }
      client.machine.didRead(byteCount, of: id, now: client.now(now), into: &client.effects)
    case .compacted(let oldest):
      meet(.watchCompacted)
      watches[number].isOver = true
      client.watches[id] = nil
      tell("client \(client.number + 1)", "can watch from \(oldest) on only")
      startWatch(client, from: oldest)
    case .refused(let failure):
      watches[number].isOver = true
      client.watches[id] = nil
      tell("client \(client.number + 1)", "is refused a watch: \(failure.code)")
      startWatch(client, from: .zero)
    }
  }

  // MARK: Judgement

  /// Whether a watch whose client lives has something to be told.
  func isBehind(_ watch: RecordedWatch) -> Bool {
    guard !watch.isOver, clients[watch.client].generation == watch.generation else { return false }
    return !watch.isStarted || judge.record.changes[watch.place...].contains { watch.wants($0) }
  }
}

extension WatchRequest {
  /// Whether the client's machine has asked for the same watch before, as its number tells.
  var isResumed: Bool { watch & 0xFF_FFFF > 1 }
}

extension ChangeRecord {
  /// The place of the first change at that revision or later.
  func place(of revision: Revision) -> Int {
    var (low, high) = (0, changes.count)
    while low < high {
      let middle = (low + high) / 2
      if changes[middle].entry.modified < revision { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
