import RoostClientCore
import RoostJournal
import RoostRaft
import RoostReplica
import RoostStateMachine
import RoostWire

/// Judgement: of each turn as it happens, of the whole when it is over.
extension SimulatedCluster {
  /// Looks at what a node has done in its turn.
  func judgeTurn(_ node: SimulatedNode, _ life: NodeLife) {
    let (term, isLeader, applied) = life.look {
      ($0.consensus.term, $0.consensus.isLeader, $0.applied)
    }
    report.highestTerm = max(report.highestTerm, term.rawValue)
    if isLeader, life.ledIn != term { judgeLeader(node, life, term) }
    judgeMemory(node, life)
    guard life.judged < applied else { return }
    while life.judged < applied {
      life.judged = life.judged.next
      let index = life.judged
      guard let entry = life.look({ $0.consensus.entry(at: index) }) else { continue }
      if let problem = judge.didApply(entry, in: term, at: now) {
        breach(problem.kind, "node \(node.id): \(problem.text)")
      }
    }
    report.committedCount = judge.entries.count
    let hash = life.look { $0.state.stateHash }
    if let problem = judge.hasState(hash, at: life.judged) {
      breach("states differ", "node \(node.id): \(problem)")
    }
    judgeBeliefs()
  }

  // MARK: Liveness

  /// Whether no call is under way and every node has applied all that any has.
  var isQuiet: Bool {
    guard clients.allSatisfy({ $0.calls.isEmpty }), !watches.contains(where: isBehind) else {
      return false
    }
    let committed = LogIndex(UInt64(judge.entries.count))
    return nodes.allSatisfy { node in
      guard let life = node.life else { return false }
      return life.look({ $0.applied == committed && $0.isIdle }) && life.journal.isIdle
        && life.connections.values.allSatisfy { $0.owed.isEmpty }
    }
  }

  /// After everything was healed, calls succeed, and all nodes come to know the same.
  func judgeLiveness(isQuiet: Bool, probes: PartialRangeFrom<Int>) {
    guard report.violations.isEmpty else { return }
    if !isQuiet {
      let busy = clients.filter { !$0.calls.isEmpty }.map { $0.number + 1 }
      let places = nodes.map { node in
        node.life.map {
          let waits = $0.replica.isIdle ? "" : ", somebody waits"
          let owed = $0.connections.values.reduce(0) { $0 + $1.owed.count }
          let debt = owed == 0 ? "" : ", \(owed) answers owed"
          return "\($0.replica.applied) of \($0.replica.consensus.lastIndex)" + waits + debt
        } ?? "down"
      }
      let behind = watches.indices.filter { isBehind(watches[$0]) }
      return breach(
        "not quiet",
        "calls of clients \(busy) and watches \(behind) are under way; nodes have applied \(places) of \(judge.entries.count)"
      )
    }
    for call in history[probes.lowerBound...] {
      guard case .failed(let failure) = call.result, failure.reason != .sessionEnded,
        !judge.waited(call, failure)
      else { continue }
      let word = call.identity.flatMap { judge.execution(of: $0) }.map {
        "; the log says since \(timeText($0.appliedAt)): \(ClusterJudge.story($0.reply))"
      }
      return breach("not live", "a call failed although all was well: \(call)\(word ?? "")")
    }
  }

  // MARK: History

  func judgeHistory() {
    guard report.violations.isEmpty else { return }
    judgeReplies()
    judgeRevisions()
    judgeOldReads()
    judgeSight()
    judgeKeys()
    judgeSums()
  }

  /// Every reply to a request is the one that the log gave it, and what did not happen did not.
  private func judgeReplies() {
    for call in history where call.isCommand {
      guard let problem = judge.judge(call) else { continue }
      breach(problem.kind, problem.text)
    }
  }

  /// What a call saw is never older than what was known before it began.
  private func judgeRevisions() {
    var newest = Revision.zero
    let ends = history.indices.filter { history[$0].revision != nil }
      .sorted { (history[$0].endedAt ?? 0, $0) < (history[$1].endedAt ?? 0, $1) }
    var next = 0
    for call in history where call.mustBeNew {
      guard let revision = call.revision else { continue }
      while next < ends.count, let end = history[ends[next]].endedAt, end < call.startedAt {
        newest = max(newest, history[ends[next]].revision ?? .zero)
        next += 1
      }
      guard revision < newest || call.isWrite && revision == newest else { continue }
      breach("stale", "\(call) although revision \(newest) was known before")
    }
  }

  /// Nobody sees an older state than it has seen before, whichever node it asks.
  private func judgeSight() {
    for call in history {
      guard let revision = call.revision, revision < call.knownRevision else { continue }
      breach(
        "time runs back",
        "\(call) although the client had seen revision \(call.knownRevision)"
      )
    }
  }

  /// A read that may be old still shows a state that was.
  private func judgeOldReads() {
    for call in history {
      if let problem = judge.record.judge(call) { breach("never was", problem) }
    }
  }

  /// The history of each key can be explained by calls that take effect one at a time.
  private func judgeKeys() {
    var calls: [[UInt8]: [RegisterCall]] = [:]
    for call in history {
      guard let key = call.key, let register = registerCall(call) else { continue }
      calls[key, default: []].append(register)
    }
    for key in calls.keys.sorted(by: { $0.lexicographicallyPrecedes($1) }) {
      guard let own = calls[key] else { continue }
      switch RegisterChecker.judge(own) {
      case .explained: continue
      case .undecided: report.undecidedKeys += 1
      case .refused(let refusal):
        let states = refusal.possible.prefix(4).map { "\($0.value) v\($0.version)" }
        breach("not linearizable", "\(own[refusal.call].name), but \(text(key)) can be \(states)")
      }
    }
  }

  /// Whoever reads all accounts at once finds that nothing was made or lost by moving it.
  private func judgeSums() {
    for call in history {
      guard case .query(_, .range(let range)) = call.kind,
        range.range == KeyRange(prefix: Array("a".utf8)), case .page(let page) = call.reply
      else { continue }
      let sum = page.entries.reduce(0) { $0 + (WorkloadPlan.number(in: $1.value) ?? 0) }
      guard sum != 0, page.next == nil else { continue }
      breach("not atomic", "\(call): the accounts' sum is \(sum)")
    }
  }

  /// A call as the register checker takes it; nil if it can't have had an effect and saw nothing.
  private func registerCall(_ call: RecordedCall) -> RegisterCall? {
    guard let action = call.registerAction else { return nil }
    if case .answered(let bytes) = call.result, let reply = call.reply,
      !ClusterJudge.isTooLate(bytes)
    {
      guard let outcome = reply.registerOutcome else { return nil }
      return RegisterCall(
        action,
        outcome,
        during: call.startedAt...(call.endedAt ?? .max),
        name: "\(call)"
      )
    }
    // Nobody heard the answer: the log knows what it was, and when it can't have happened any later.
    guard call.isCommand, let execution = call.identity.flatMap({ judge.execution(of: $0) }),
      let outcome = (try? Reply(decodingAll: execution.reply))?.registerOutcome
    else { return nil }
    return RegisterCall(
      action,
      outcome,
      during: call.startedAt...max(call.startedAt, execution.appliedAt),
      name: "\(call)"
    )
  }
}

extension RecordedCall {
  /// The key of a call on one key, unless it may show an old state.
  var key: [UInt8]? {
    switch kind {
    case .query(.serializable, _): nil
    case .query(_, .get(let get)): get.revision == .zero ? get.key : nil
    case .command(.operation(.put(let put))): put.isRegister ? put.key : nil
    case .command(.operation(.delete(let delete))): delete.key
    case .command(.operation(.update(let update))): update.key
    default: nil
    }
  }

  var registerAction: RegisterCall.Action? {
    switch kind {
    case .query(_, .get): return .read
    case .command(.operation(.put(let put))):
      let value = WorkloadPlan.number(in: put.value) ?? 0
      switch put.options.condition {
      case nil: return .put(value)
      case .absent: return .putIf(.absent, value)
      case .present: return .putIf(.present, value)
      case .version(let version): return .putIf(.version(version), value)
      default: return nil
      }
    case .command(.operation(.delete)): return .delete
    case .command(.operation(.update(let update))):
      guard case .add(let change) = update.change else { return nil }
      return .add(change)
    default: return nil
    }
  }

  /// The store's revision that the answer names, unless an old one was asked for.
  var revision: Revision? {
    if case .query(_, .get(let get)) = kind, get.revision != .zero { return nil }
    if case .query(_, .range(let range)) = kind, range.revision != .zero { return nil }
    return namedRevision
  }

  private var namedRevision: Revision? {
    switch reply {
    case .written(let written): written.revision
    case .deleted(let deleted): deleted.revision
    case .value(let revision, _): revision
    case .transaction(let reply): reply.revision
    case .page(let page): page.revision
    default: nil
    }
  }

  /// Whether the answer shows a change that the call made.
  var isWrite: Bool {
    switch reply {
    case .written: true
    case .deleted(let deleted): deleted.count > 0
    case .transaction: true
    default: false
    }
  }

  var mustBeNew: Bool {
    if case .query(.serializable, _) = kind { false } else { true }
  }
}

extension Put {
  /// Whether the key is one that only calls on it change.
  fileprivate var isRegister: Bool {
    options.lifetime == .unbounded && key.first != UInt8(ascii: "d")
  }
}

extension Reply {
  var registerOutcome: RegisterCall.Outcome? {
    switch self {
    case .value(_, let entry): .saw(entry.register)
    case .written(let written): .written(version: written.version, number: written.number)
    case .deleted(let deleted): .deleted(deleted.count > 0)
    case .failure(let failure) where failure.code == .conditionFailed: .refused
    default: nil
    }
  }
}

extension KeyValue? {
  /// What the checkers look at.
  var register: RegisterState {
    guard let self else { return .absent }
    return RegisterState(value: WorkloadPlan.number(in: self.value) ?? -1, version: self.version)
  }
}
