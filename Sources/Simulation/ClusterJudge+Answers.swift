import RoostClientCore
import RoostStateMachine
import RoostWire

/// What clients were told, beside what became of it in the log.
extension ClusterJudge {
  /// Whether the result of a command is what the log says; answers what is wrong about it.
  func judge(_ call: RecordedCall) -> Finding? {
    if case .session(let session, .zero, _)? = call.identity {
      return judgeRepeatable(call, of: session)
    }
    let execution = call.identity.flatMap { self.execution(of: $0) }
    switch call.result {
    case .answered(let bytes): return judge(call, bytes, execution)
    case .failed(let failure) where !failure.mayHaveExecuted:
      guard let execution, !Self.isFailure(execution.reply), !holdsNothing(call, failure) else {
        return nil
      }
      return Finding(kind: "said not to have happened", text: "\(call), but it was executed")
    default: return nil
    }
  }

  private func judge(_ call: RecordedCall, _ bytes: [UInt8], _ execution: Execution?) -> Finding? {
    let failure = try? Failure(decodingAll: bytes)
    if failure?.code == .stale {
      return Finding(kind: "forgotten", text: "\(call), and nobody said that it was answered")
    }
    let isRefusal = Self.isNodeFailure(bytes) || Self.isTooLate(bytes)
    guard let execution else {
      if isRefusal { return nil }
      return Finding(kind: "acknowledged and lost", text: "\(call) is not in the log")
    }
    if execution.reply == bytes || isRefusal && Self.isFailure(execution.reply) { return nil }
    // It waited, and its place is gone: it holds nothing.
    if failure?.code == .lockTimedOut, Self.isWaiting(execution.reply) { return nil }
    let story = Self.story(execution.reply)
    return Finding(kind: "other reply", text: "\(call), but the log says \(story)")
  }

  /// An acquire that waited holds nothing once its session is over.
  private func holdsNothing(_ call: RecordedCall, _ failure: CallFailure) -> Bool {
    guard call.mayWait, failure.reason == .sessionEnded,
      case .session(let session, _, _)? = call.identity
    else { return false }
    return !locks.lives(session.rawValue, at: oracle.time)
  }

  /// What does no harm when repeated has no name of its own: some execution must have been while the call was under way.
  private func judgeRepeatable(_ call: RecordedCall, of session: SessionID) -> Finding? {
    guard case .command(.renewLeases(let leases)) = call.kind,
      case .answered(let bytes) = call.result,
      !Self.isFailure(bytes)
    else { return nil }
    let renewal = Renewal(session: session, leases: leases)
    let isThere = renewals[renewal, default: []].contains { execution in
      execution.reply == bytes && execution.appliedAt >= call.startedAt
        && execution.appliedAt <= call.endedAt ?? .max
    }
    guard !isThere else { return nil }
    return Finding(
      kind: "acknowledged and lost",
      text: "\(call), and no such renewal is in the log"
    )
  }

  /// Whether an acquire ran out of time because it stood in a queue, as the log has it.
  func waited(_ call: RecordedCall, _ failure: CallFailure) -> Bool {
    guard call.mayWait, failure.reason == .timedOut, let end = call.endedAt,
      let execution = call.identity.flatMap({ self.execution(of: $0) })
    else { return false }
    // News of what became of it may be on its way.
    return Self.isWaiting(execution.reply)
      || (execution.resolvedAt ?? execution.appliedAt) + Self.newsPatience > end
  }

  private static let newsPatience: UInt64 = 2_000_000_000

  /// Whether somebody believes until then in a session or lease that is over by now; answers how wrong that is.
  func judgeBelief(in id: UInt64, until: Instant?, at local: Instant) -> String? {
    guard let until, local < until, locks.isOver(id, at: oracle.time) else { return nil }
    let left = until.nanoseconds(since: local) / 1000
    return "\(id) is over, and is believed to live for \(left) us more"
  }

  /// Whether a grant that somebody believes to hold is held by nobody; answers so.
  func judgeHold(of token: UInt64) -> String? {
    guard let session = locks.holder(of: token), locks.isOver(session, at: oracle.time) else {
      return nil
    }
    return "believes to hold token \(token), whose session \(session) is over"
  }

  // MARK: Codes

  static func isFailure(_ bytes: [UInt8]) -> Bool { (try? Failure(decodingAll: bytes)) != nil }

  static func isNodeFailure(_ bytes: [UInt8]) -> Bool {
    (try? Failure(decodingAll: bytes)).map { $0.code.rawValue >= 100 } ?? false
  }

  /// The request was not let in, or its reply can't be repeated any more.
  static func isTooLate(_ bytes: [UInt8]) -> Bool {
    guard let failure = try? Failure(decodingAll: bytes) else { return false }
    switch failure.code {
    case .stale, .oneShotExpired, .sessionExpired, .windowExceeded, .storedReplyLimit, .overloaded:
      return true
    default: return false
    }
  }
}

extension ChangeRecord {
  /// Whether a read shows a state that was, at its revision; answers what is wrong about it.
  func judge(_ call: RecordedCall) -> String? {
    switch (call.kind, call.reply) {
    case (.query(_, .get(let get)), .value(let now, let entry)):
      let revision = get.revision == .zero ? now : get.revision
      let expected = self.entry(of: get.key, at: revision)
      guard entry != expected else { return nil }
      return "\(call), but at that revision it was \(expected.register)"
    case (.query(_, .range(let range)), .page(let page)):
      let revision = range.revision == .zero ? page.revision : range.revision
      let expected = entries(in: range.range, at: revision)
      if range.countOnly {
        guard page.next == nil, page.count != UInt64(expected.count) else { return nil }
        return "\(call), but at that revision there were \(expected.count) keys"
      }
      let part = page.next == nil ? expected : Array(expected.prefix(page.entries.count))
      guard page.entries != part else { return nil }
      return "\(call), but at that revision there were \(expected.count) keys"
    default: return nil
    }
  }
}
