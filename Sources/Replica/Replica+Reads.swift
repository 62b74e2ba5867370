internal import RoostRaft
internal import RoostStateMachine
package import RoostWire

/// A query that waits until the state is new enough to answer it.
struct WaitingQuery: Sendable {
  enum Content: Sendable {
    /// Its place in the bytes of all queries that wait with it.
    case query(Int)
    /// No query but a watch that begins at what is confirmed.
    case watch(WatchRequest)
  }

  let client: ClientTicket
  let content: Content

  var watch: WatchRequest? {
    guard case .watch(let request) = content else { return nil }
    return request
  }
}

/// Queries that share one question for the read index.
struct WaitingQueries: Sendable {
  var batch = QueryBatch()
  var queries: [WaitingQuery] = []

  mutating func add(_ query: borrowing Span<UInt8>, from client: ClientTicket) {
    queries.append(WaitingQuery(client: client, content: .query(batch.add(query))))
  }
}

/// Queries on their way: those of a turn share one question for the read index.
struct ReadTable: Sendable {
  private struct Group: Sendable {
    let id: ReadID
    var waiting: WaitingQueries
    /// Known once the question is answered.
    var index: LogIndex?
  }

  /// What has come since the last question.
  private var open = WaitingQueries()
  /// Ascending by id.
  private var groups: [Group] = []
  private var lastID: UInt64 = 0

  var isEmpty: Bool { open.queries.isEmpty && groups.allSatisfy { $0.waiting.queries.isEmpty } }

  mutating func add(
    _ query: borrowing Span<UInt8>,
    from client: ClientTicket,
    toOldGroup: Bool = false
  ) {
    if toOldGroup, let last = groups.indices.last {
      return groups[last].waiting.add(query, from: client)
    }
    open.add(query, from: client)
  }

  mutating func add(_ watch: WatchRequest, from client: ClientTicket) {
    open.queries.append(WaitingQuery(client: client, content: .watch(watch)))
  }

  /// Closes the open group, if there is anything in it, and answers the name under which to ask for it.
  mutating func closeGroup() -> ReadID? {
    guard !open.queries.isEmpty else { return nil }
    lastID += 1
    groups.append(Group(id: ReadID(lastID), waiting: open))
    open = WaitingQueries()
    return ReadID(lastID)
  }

  mutating func didConfirm(_ ready: [ReadyRead]) {
    for read in ready {
      guard let place = groups.firstIndex(where: { $0.id == read.id }) else { continue }
      groups[place].index = read.index
    }
  }

  mutating func take(_ id: ReadID) -> [WaitingQuery] {
    guard let place = groups.firstIndex(where: { $0.id == id }) else { return [] }
    return groups.remove(at: place).waiting.queries
  }

  /// Takes out those watches that wait here and are wanted.
  mutating func takeWatches(where isWanted: (WaitingQuery) -> Bool) -> [WaitingQuery] {
    let isTaken: (WaitingQuery) -> Bool = { $0.watch != nil && isWanted($0) }
    var taken = open.queries.filter(isTaken)
    open.queries.removeAll(where: isTaken)
    for place in groups.indices {
      taken += groups[place].waiting.queries.filter(isTaken)
      groups[place].waiting.queries.removeAll(where: isTaken)
    }
    return taken
  }

  /// The queries that a state which contains `applied` may answer, in the groups in which they came.
  mutating func takeReady(at applied: LogIndex) -> [WaitingQueries] {
    guard groups.contains(where: { $0.index.map { $0 <= applied } ?? false }) else { return [] }
    var ready: [WaitingQueries] = []
    groups.removeAll { group in
      guard let index = group.index, index <= applied else { return false }
      ready.append(group.waiting)
      return true
    }
    return ready
  }
}

/// Reads: from this node's own state, once it is known to be new enough.
extension Replica {
  /// Takes in a query: a level and the query's bytes.
  package mutating func query(
    _ bytes: borrowing Span<UInt8>,
    from client: ClientTicket,
    now: Instant,
    into effects: inout ReplicaEffects
  ) {
    guard bytes.count > 0, let level = ReadLevel(rawValue: bytes[0]) else {
      return answer(.client(client), Failure(.malformed), into: &effects)
    }
    if let refusal { return answer(.client(client), Failure(refusal), into: &effects) }
    if level == .bounded { return observe(bytes, for: client, now: now, into: &effects) }
    let query = bytes.extracting(droppingFirst: 1)
    switch level {
    case .bounded: break
    case .serializable: answer(client, into: &effects) { $0.read(query, into: &$1) }
    case .linearizable, .lease:
      reads.add(query, from: client, toOldGroup: has(.readsJoinOldGroup))
    }
  }

  /// Answers from this node's own state, if that is as new as the query demands.
  private mutating func observe(
    _ bytes: borrowing Span<UInt8>,
    for client: ClientTicket,
    now: Instant,
    into effects: inout ReplicaEffects
  ) {
    var input = bytes.extracting(droppingFirst: 1)
    guard let bound = try? ReadBound(decoding: &input) else {
      return answer(.client(client), Failure(.malformed), into: &effects)
    }
    let age = age(now: now)
    guard state.revision >= bound.revision || has(.boundIgnored), bound.age == 0 || age <= bound.age
    else {
      let failure = Failure(.tooOld, detail: state.revision.rawValue)
      return answer(.client(client), failure, into: &effects)
    }
    answer(client, into: &effects) { state, output in
      let start = output.count
      Reply.beginObservation(age: age, in: &output)
      state.read(input, into: &output)
      Reply.endObservation(at: start, in: &output)
    }
  }

  /// How many nanoseconds ago this node heard a leader, or as one a quorum; the greatest number if it never did.
  private func age(now: Instant) -> UInt64 {
    guard let heard = consensus.quorumHeardAt ?? leaderHeardAt else { return .max }
    return now.nanoseconds(since: min(heard, now))
  }

  mutating func askForReads(now: Instant) {
    guard let id = reads.closeGroup() else { return }
    consensus.read(id, now: now, into: &asked)
  }

  mutating func answerReads(into effects: inout ReplicaEffects) {
    for waiting in reads.takeReady(at: has(.readBeforeApplying) ? LogIndex(.max) : applied) {
      for query in waiting.queries {
        switch query.content {
        case .watch(let request): start(request, of: query.client, into: &effects)
        case .query(let place):
          answer(query.client, into: &effects) { $0.read(waiting.batch, at: place, into: &$1) }
        }
      }
    }
  }

  mutating func fail(
    _ queries: [WaitingQuery],
    _ code: ErrorCode,
    into effects: inout ReplicaEffects
  ) {
    for query in queries { answer(.client(query.client), Failure(code), into: &effects) }
  }

  private func answer(
    _ client: ClientTicket,
    into effects: inout ReplicaEffects,
    _ read: (borrowing ReplicatedState, inout [UInt8]) -> Void
  ) {
    let start = effects.replyBytes.count
    read(state, &effects.replyBytes)
    let range = start..<effects.replyBytes.count
    effects.replies.append(ReplyPlace(ticket: client, range: range))
  }
}
