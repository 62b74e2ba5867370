internal import RoostRaft
internal import RoostStateMachine
package import RoostWire

/// A query that waits until the state is new enough to answer it.
struct WaitingQuery: Sendable {
  let client: ClientTicket
  let bytes: [UInt8]
  /// Set if it is no query but a watch that begins at what is confirmed.
  var watch: WatchRequest?
}

/// Queries on their way: those of a turn share one question for the read index.
struct ReadTable: Sendable {
  private struct Group: Sendable {
    let id: ReadID
    var queries: [WaitingQuery]
    /// Known once the question is answered.
    var index: LogIndex?
  }

  /// What has come since the last question.
  private var open: [WaitingQuery] = []
  /// Ascending by id.
  private var groups: [Group] = []
  private var lastID: UInt64 = 0

  var isEmpty: Bool { open.isEmpty && groups.allSatisfy { $0.queries.isEmpty } }

  mutating func add(_ query: WaitingQuery, toOldGroup: Bool = false) {
    if toOldGroup, let last = groups.indices.last { return groups[last].queries.append(query) }
    open.append(query)
  }

  /// Closes the open group, if there is anything in it, and answers the name under which to ask for it.
  mutating func closeGroup() -> ReadID? {
    guard !open.isEmpty else { return nil }
    lastID += 1
    groups.append(Group(id: ReadID(lastID), queries: open))
    open = []
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
    return groups.remove(at: place).queries
  }

  /// Takes out those watches that wait here and are wanted.
  mutating func takeWatches(where isWanted: (WaitingQuery) -> Bool) -> [WaitingQuery] {
    let isTaken: (WaitingQuery) -> Bool = { $0.watch != nil && isWanted($0) }
    var taken = open.filter(isTaken)
    open.removeAll(where: isTaken)
    for place in groups.indices {
      taken += groups[place].queries.filter(isTaken)
      groups[place].queries.removeAll(where: isTaken)
    }
    return taken
  }

  /// The queries that a state which contains `applied` may answer.
  mutating func takeReady(at applied: LogIndex) -> [WaitingQuery] {
    guard groups.contains(where: { $0.index.map { $0 <= applied } ?? false }) else { return [] }
    var ready: [WaitingQuery] = []
    groups.removeAll { group in
      guard let index = group.index, index <= applied else { return false }
      ready += group.queries
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
    let query = WaitingQuery(client: client, bytes: bytes.extracting(droppingFirst: 1).copied())
    switch level {
    case .bounded: break
    case .serializable: answer(query, into: &effects)
    case .linearizable, .lease: reads.add(query, toOldGroup: has(.readsJoinOldGroup))
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
    let start = effects.replyBytes.count
    Reply.beginObservation(age: age, in: &effects.replyBytes)
    state.read(input.copied(), into: &effects.replyBytes)
    Reply.endObservation(at: start, in: &effects.replyBytes)
    effects.replies.append(ReplyPlace(ticket: client, range: start..<effects.replyBytes.count))
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
    for query in reads.takeReady(at: has(.readBeforeApplying) ? LogIndex(.max) : applied) {
      answer(query, into: &effects)
    }
  }

  mutating func fail(
    _ queries: [WaitingQuery],
    _ code: ErrorCode,
    into effects: inout ReplicaEffects
  ) {
    for query in queries { answer(.client(query.client), Failure(code), into: &effects) }
  }

  private mutating func answer(_ query: WaitingQuery, into effects: inout ReplicaEffects) {
    if let request = query.watch { return start(request, of: query.client, into: &effects) }
    let start = effects.replyBytes.count
    state.read(query.bytes, into: &effects.replyBytes)
    let range = start..<effects.replyBytes.count
    effects.replies.append(ReplyPlace(ticket: query.client, range: range))
  }
}
