import RoostRaft
import RoostStateMachine
import RoostWire

/// Sees into all nodes, as nobody could from outside: what they applied, what it meant, who led.
///
/// The first node that applies an entry says what the log holds there, and every other node (and every later
/// start) must agree. A copy of the state machine, which never crashes, follows that log: its replies
/// are the ones that each request may be answered with.
struct ClusterJudge {
  /// What became of one request in the log.
  struct Execution {
    let appliedAt: UInt64
    let reply: [UInt8]
    /// When a wait that it began was over.
    var resolvedAt: UInt64?
  }

  /// A request's name, however often it was sent.
  struct RequestName: Hashable {
    let session: UInt64
    let first: UInt64
    let second: UInt64

    init(_ identity: RequestIdentity) {
      switch identity {
      case .session(let session, let sequence, _):
        self.session = session.rawValue
        first = sequence.rawValue
        second = 0
      case .oneShot(let id, _):
        session = 0
        first = id.high
        second = id.low
      }
    }
  }

  /// A renewal of leases, by a session.
  struct Renewal: Hashable {
    let session: SessionID
    let leases: [UInt64]
  }

  /// What a key held from a revision on.
  struct KeyMoment {
    let revision: Revision
    let state: RegisterState
  }

  /// From index 1 on.
  private(set) var entries: [Entry] = []
  private(set) var executions: [RequestName: Execution] = [:]
  private(set) var keys: [[UInt8]: [KeyMoment]] = [:]
  private(set) var oracle: ReplicatedState
  private(set) var locks = LockModel()
  /// What became of requests that do no harm when repeated, and so have no names of their own.
  private(set) var renewals: [Renewal: [Execution]] = [:]
  private var logs = LogJudge()
  private(set) var record: ChangeRecord
  private var clock = TimeJudge()
  /// Whether stamps are compared with the world's time; not where clocks jump.
  let judgesTime: Bool
  private var barred: Set<RequestName> = []
  private(set) var coverage = CoverageCounts()
  private var output = AppliedOutput()
  /// The state's hash after each entry.
  private var hashes: [UInt64] = []
  private var leaders: [Term: NodeID] = [:]

  init(_ oracle: ReplicatedState, judgesTime: Bool) {
    self.oracle = oracle
    record = ChangeRecord(beside: oracle)
    self.judgesTime = judgesTime
  }

  /// What is wrong.
  struct Finding {
    let kind: String
    let text: String
  }

  // MARK: Nodes

  /// Takes in that a node is about to write entries behind one of that term; answers what is wrong about it.
  mutating func willWrite(_ new: [Entry], behind term: Term?, at time: UInt64) -> String? {
    if judgesTime {
      for entry in new where Int(entry.index.rawValue) > entries.count {
        clock.willWrite(entry.index, term: entry.term.rawValue, at: time)
      }
    }
    return logs.willWrite(new, behind: term)
  }

  /// Takes in that a node of that term has applied an entry; answers what is wrong about it.
  mutating func didApply(_ entry: Entry, in term: Term, at time: UInt64) -> Finding? {
    let place = Int(entry.index.rawValue) - 1
    if place < entries.count {
      guard entries[place] != entry else { return nil }
      let text = """
        entry \(entry.index) is of term \(entry.term) with \(entry.payload.count) bytes here, \
        and was of term \(entries[place].term) with \(entries[place].payload.count) bytes elsewhere
        """
      return Finding(kind: "logs differ", text: text)
    }
    guard place == entries.count else {
      return Finding(kind: "gap", text: "entry \(entry.index) is applied after \(entries.count)")
    }
    if let last = entries.last, entry.term < last.term || entry.time < last.time {
      let text = "entry \(entry.index) has a term or a time before that of the one before it"
      return Finding(kind: "order", text: text)
    }
    entries.append(entry)
    logs.didCommit(in: term)
    if judgesTime,
      let problem = clock.didApply(
        entry.index,
        term: entry.term.rawValue,
        stamp: entry.time,
        at: time
      )
    {
      return Finding(kind: "time runs ahead", text: problem)
    }
    return follow(entry, at: time).map { Finding(kind: "promise broken", text: $0) }
  }

  /// Takes in a node's state after an entry; answers what is wrong about it.
  func hasState(_ hash: UInt64, at index: LogIndex) -> String? {
    guard index > .zero, hashes.count >= index.rawValue else { return nil }
    let expected = hashes[Int(index.rawValue) - 1]
    return hash == expected ? nil : "its state at \(index) has hash \(hash) instead of \(expected)"
  }

  /// Takes in that a node leads; answers what is wrong about it.
  mutating func leads(_ node: NodeID, in term: Term) -> String? {
    let known = leaders[term]
    leaders[term] = node
    guard let known, known != node else { return nil }
    return "node \(known) and node \(node) both lead in term \(term)"
  }

  var leaderCount: Int { leaders.count }

  /// Whether a log from `first` on has what its node needs to lead in a term.
  func judgeLeader(
    in leading: Term,
    from first: LogIndex,
    term: (LogIndex) -> Term?
  ) -> String? {
    logs.judgeLeader(in: leading, committed: entries, from: first, term: term)
  }

  // MARK: Meaning

  private mutating func follow(_ entry: Entry, at time: UInt64) -> String? {
    output.removeAll()
    let payload = entry.kind == .requests ? entry.payload : []
    oracle.apply(payload, at: entry.index, time: entry.time, into: &output)
    hashes.append(oracle.stateHash)
    locks.beginEntry(grantingLater: tokensOfWaiters)
    var offset = 0
    var number = 0
    while payload.count - offset >= 4 {
      let byteCount = (0..<4).reduce(0) { $0 | Int(payload[offset + $1]) << (8 * $1) }
      guard byteCount <= payload.count - offset - 4 else { break }
      let bytes = [UInt8](payload[(offset + 4)..<(offset + 4 + byteCount)])
      offset += 4 + byteCount
      let reply = [UInt8](output.replyBytes[output.replyRange(number)])
      number += 1
      if let problem = follow(bytes, reply, of: entry, at: time) { return problem }
    }
    return followNews(of: entry, at: time) ?? locks.endEntry() ?? followChanges(of: entry)
      ?? locks.judgeOrphans(at: entry.time)
  }

  /// The tokens of those who wait no longer.
  private var tokensOfWaiters: Set<UInt64> {
    var tokens: Set<UInt64> = []
    for news in output.events {
      let bytes = [UInt8](output.eventBytes[news.bytes])
      guard case .lockResolved(_, .lock(.granted(let token)))? = try? Event(decodingAll: bytes)
      else {
        continue
      }
      tokens.insert(token)
    }
    return tokens
  }

  /// What those who wait were told.
  private mutating func followNews(of entry: Entry, at moment: UInt64) -> String? {
    for news in output.events {
      guard let event = try? Event(decodingAll: [UInt8](output.eventBytes[news.bytes])) else {
        return "an event can't be read"
      }
      if case .lockLost(let token, let name) = event { locks.lose(token, name) }
      guard case .lockResolved(let sequence, let reply) = event else { continue }
      let name = RequestName(.session(news.session, sequence, firstIncomplete: sequence))
      if let execution = executions[name] {
        executions[name] = Execution(
          appliedAt: execution.appliedAt,
          reply: reply.encoded(),
          resolvedAt: moment
        )
      }
      if let problem = locks.follow(news.session, sequence, reply, at: entry.time) {
        return problem
      }
    }
    return nil
  }

  private mutating func followChanges(of entry: Entry) -> String? {
    let (first, problem) = record.follow(oracle)
    if let problem { return problem }
    for place in first..<max(first, record.changes.count) {
      let (change, before) = (record.changes[place], record.entry(before: place))
      if let problem = locks.follow(change, was: before, at: entry.time) { return problem }
    }
    return nil
  }

  /// Tokens that are held by dead sessions alone, and whose locks others have.
  var superseded: [UInt64] { locks.superseded }
  var lockCoverage: CoverageCounts { locks.coverage }

  private mutating func follow(
    _ bytes: [UInt8],
    _ reply: [UInt8],
    of entry: Entry,
    at time: UInt64
  ) -> String? {
    guard let request = try? Request(decodingAll: bytes),
      let decoded = try? Reply(decodingAll: reply)
    else { return "a request or its reply can't be read: \(bytes), \(reply)" }
    let name = RequestName(request.identity)
    let problem = locks.follow(
      request,
      decoded,
      at: entry.time,
      isFirst: executions[name] == nil
    )
    if let problem { return problem }
    if case .session(let session, .zero, _) = request.identity {
      if case .renewLeases(let leases) = request.command {
        let renewal = Renewal(session: session, leases: leases)
        renewals[renewal, default: []].append(Execution(appliedAt: time, reply: reply))
      }
      return nil
    }
    if let earlier = executions[name] {
      if Self.isWaiting(earlier.reply) {
        // Where it stands in the queue changes, until news of it are final.
        if !Self.isWaiting(reply) { executions[name] = Execution(appliedAt: time, reply: reply) }
        return nil
      }
      guard earlier.reply != reply else {
        coverage.meet(.retryAnswered)
        return nil
      }
      guard !Self.refusesRepetition(reply) else {
        coverage.meet(.repetitionRefused)
        return nil
      }
      return """
        \(request.command) was answered \(Self.story(earlier.reply)), and when it was repeated \
        \(Self.story(reply))
        """
    }
    guard !Self.isNotAdmitted(decoded) else { return nil }
    executions[name] = Execution(appliedAt: time, reply: reply)
    note(request.command, decoded)
    if barred.contains(name), decoded != .failure(Failure(.barred)) {
      return "\(request.command) was executed although its outcome was told as barred"
    }
    guard case .outcome(let outcome) = request.command else { return nil }
    return judge(outcome, decoded)
  }

  /// What is told of a request's outcome is what became of it.
  private mutating func judge(_ outcome: Outcome, _ reply: Reply) -> String? {
    let name = RequestName(
      .session(outcome.session, outcome.sequence, firstIncomplete: outcome.sequence)
    )
    switch reply {
    case .outcome(.executed(let told)):
      guard let execution = executions[name],
        execution.reply == told.encoded() || Self.isWaiting(execution.reply)
      else {
        return "the outcome of \(outcome) is told as \(told.story), which it was not"
      }
    case .outcome(.barred):
      barred.insert(name)
      guard let execution = executions[name] else { return nil }
      guard execution.reply != Reply.failure(Failure(.barred)).encoded() else { return nil }
      return "the outcome of \(outcome) is told as barred, but it was executed"
    default: break
    }
    return nil
  }

  /// The request was not let in: it may come again, and be executed then.
  private static func isNotAdmitted(_ reply: Reply) -> Bool {
    guard case .failure(let failure) = reply else { return false }
    switch failure.code {
    case .windowExceeded, .storedReplyLimit, .overloaded, .sessionExpired, .oneShotExpired,
      .oneShotTooFarAhead, .stale:
      return true
    default: return false
    }
  }

  static func isWaiting(_ reply: [UInt8]) -> Bool {
    if case .lock(.waiting) = try? Reply(decodingAll: reply) { true } else { false }
  }

  /// A repeated request may be told that it is too late to repeat the reply.
  private static func refusesRepetition(_ reply: [UInt8]) -> Bool {
    (try? Reply(decodingAll: reply)).map(isNotAdmitted) ?? false
  }

  static func story(_ reply: [UInt8]) -> String {
    (try? Reply(decodingAll: reply))?.story ?? "bytes that are no reply"
  }

  /// Writes down what a key holds since a revision.
  private mutating func note(_ command: Command, _ reply: Reply) {
    guard case .operation(let operation) = command else { return }
    switch (operation, reply) {
    case (.put(let put), .written(let written)):
      let value = WorkloadPlan.number(in: put.value) ?? 0
      note(put.key, written.revision, RegisterState(value: value, version: written.version))
    case (.update(let update), .written(let written)):
      let state = RegisterState(value: written.number ?? 0, version: written.version)
      note(update.key, written.revision, state)
    case (.delete(let delete), .deleted(let deleted)) where deleted.count > 0:
      note(delete.key, deleted.revision, .absent)
    default: break
    }
  }

  private mutating func note(_ key: [UInt8], _ revision: Revision, _ state: RegisterState) {
    keys[key, default: []].append(KeyMoment(revision: revision, state: state))
  }

  /// What a key held at a revision.
  func state(of key: [UInt8], at revision: Revision) -> RegisterState {
    let moments = keys[key] ?? []
    var low = 0
    var high = moments.count
    while low < high {
      let middle = (low + high) / 2
      if moments[middle].revision <= revision { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? .absent : moments[low - 1].state
  }

  func execution(of identity: RequestIdentity) -> Execution? {
    executions[RequestName(identity)]
  }
}
