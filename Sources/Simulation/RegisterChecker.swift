/// What a key holds; version 0: it is not there.
package struct RegisterState: Hashable, Sendable {
  package var value: Int64
  package var version: UInt64

  package init(value: Int64, version: UInt64) {
    self.value = value
    self.version = version
  }

  package static let absent = RegisterState(value: 0, version: 0)
}

/// One call on one key, and what was answered.
package struct RegisterCall: Sendable {
  package enum Action: Hashable, Sendable {
    case read
    case put(Int64)
    case putIf(Test, Int64)
    case delete
    case add(Int64)
  }

  package enum Test: Hashable, Sendable {
    case absent, present
    case version(UInt64)
  }

  package enum Outcome: Hashable, Sendable {
    /// It may have happened until the call's end, or never.
    case unknown
    case saw(RegisterState)
    case written(version: UInt64, number: Int64?)
    case deleted(Bool)
    case refused
  }

  package let start: UInt64
  /// When the answer came; for an unknown outcome the moment after which it can't happen any more.
  package let end: UInt64
  package let action: Action
  package let outcome: Outcome
  /// What to call it when it is to blame.
  package let name: String

  package init(
    _ action: Action,
    _ outcome: Outcome,
    during times: ClosedRange<UInt64>,
    name: String = ""
  ) {
    start = times.lowerBound
    end = times.upperBound
    self.action = action
    self.outcome = outcome
    self.name = name
  }

  /// The state that follows if the call takes effect in `state`; nil if its answer could not be this.
  func apply(to state: RegisterState) -> RegisterState? {
    switch (action, outcome) {
    case (.read, .saw(let seen)): return seen == state ? state : nil
    case (.read, _): return state
    case (.putIf(let test, _), .refused): return test.holds(in: state) ? nil : state
    case (.putIf(let test, _), .unknown) where !test.holds(in: state): return state
    case (.putIf(let test, _), _) where !test.holds(in: state): return nil
    case (.delete, .deleted(let was)):
      guard was == (state.version > 0) else { return nil }
      return .absent
    case (.delete, _): return .absent
    case (.put(let value), _), (.putIf(_, let value), _): return written(value, over: state)
    case (.add(let change), _): return written(state.value + change, over: state)
    }
  }

  private func written(_ value: Int64, over state: RegisterState) -> RegisterState? {
    let next = RegisterState(value: value, version: state.version + 1)
    switch outcome {
    case .unknown: return next
    case .written(let version, let number):
      return version == next.version && number ?? value == value ? next : nil
    default: return nil
    }
  }

  /// Whether it changes nothing wherever it takes effect.
  var isPassive: Bool { action == .read || outcome == .refused || outcome == .deleted(false) }
}

extension RegisterCall.Test {
  func holds(in state: RegisterState) -> Bool {
    switch self {
    case .absent: state.version == 0
    case .present: state.version > 0
    case .version(let version): state.version == version
    }
  }
}

/// Decides whether what was seen of one key can be explained by calls that take effect one at a time.
///
/// It walks along the calls' starts and ends and keeps every state that the key can be in, each with the open calls that
/// have taken effect by then ("just in time", Lowe 2017). An open call that changes nothing is taken as soon
/// as it fits: waiting for a better moment gains nothing. At the end of a call only those explanations go on in
/// which it has happened.
package struct RegisterChecker {
  /// What cannot be explained.
  package struct Refusal: Equatable, Sendable {
    /// The place of the call in the history that was given.
    package let call: Int
    /// What the key may have held just before, as far as earlier calls tell.
    package let possible: [RegisterState]
  }

  package enum Verdict: Equatable, Sendable {
    case explained
    case refused(Refusal)
    /// Too many calls were open at once to decide.
    case undecided
  }

  private struct Explanation: Hashable {
    var state: RegisterState
    /// The open calls that have taken effect, by slot.
    var done: UInt64 = 0
  }

  private static let slotCount = 64
  private static let explanationLimit = 50_000

  private let calls: [RegisterCall]
  /// The open calls, by slot.
  private var open: [Int?] = Array(repeating: nil, count: slotCount)
  private var explanations: Set<Explanation>

  private init(_ calls: [RegisterCall], from state: RegisterState) {
    self.calls = calls
    explanations = [Explanation(state: state)]
  }

  /// Judges a history of one key, which held `state` at first.
  package static func judge(
    _ calls: [RegisterCall],
    from state: RegisterState = .absent
  ) -> Verdict {
    var checker = RegisterChecker(calls, from: state)
    return checker.run()
  }

  private mutating func run() -> Verdict {
    var slots = [Int](repeating: 0, count: calls.count)
    for (place, isEnd) in moments() {
      if isEnd {
        let before = explanations
        guard finish(slots[place]) else { return .undecided }
        if explanations.isEmpty {
          let states = Set(before.map(\.state)).sorted {
            ($0.version, $0.value) < ($1.version, $1.value)
          }
          return .refused(Refusal(call: place, possible: states))
        }
      } else {
        guard let slot = open.firstIndex(where: { $0 == nil }) else { return .undecided }
        slots[place] = slot
        open[slot] = place
        if calls[place].isPassive { explanations = Set(explanations.map(settled)) }
      }
      if explanations.count > Self.explanationLimit { return .undecided }
    }
    return .explained
  }

  /// Starts and ends in the order of time; of what happens at once, starts come first, which forgives most.
  private func moments() -> [(place: Int, isEnd: Bool)] {
    var moments: [(time: UInt64, isEnd: Bool, place: Int)] = []
    for (place, call) in calls.enumerated() {
      moments.append((call.start, false, place))
      moments.append((call.end, true, place))
    }
    moments.sort {
      $0.time != $1.time
        ? $0.time < $1.time : $0.isEnd != $1.isEnd ? $1.isEnd : $0.place < $1.place
    }
    return moments.map { ($0.place, $0.isEnd) }
  }

  /// Ends the call in that slot; false if too much can be so.
  private mutating func finish(_ slot: Int) -> Bool {
    guard let place = open[slot] else { return true }
    let bit: UInt64 = 1 << UInt64(slot)
    var next: Set<Explanation> = []
    let reachable = reachable(until: slot)
    guard reachable.count <= Self.explanationLimit else { return false }
    for var explanation in reachable {
      guard explanation.done & bit != 0 || calls[place].outcome == .unknown else { continue }
      explanation.done &= ~bit
      next.insert(explanation)
    }
    open[slot] = nil
    explanations = next
    return true
  }

  /// Everything that can be so by the time at which the call in that slot ends.
  private func reachable(until slot: Int) -> Set<Explanation> {
    let bit: UInt64 = 1 << UInt64(slot)
    var found = explanations
    var rest = Array(explanations)
    while let explanation = rest.popLast() {
      // Once the call has happened, whatever else may happen can as well happen later.
      if explanation.done & bit != 0 { continue }
      for (other, place) in open.enumerated() {
        guard let place, explanation.done & (1 << UInt64(other)) == 0 else { continue }
        guard let state = calls[place].apply(to: explanation.state) else { continue }
        var next = explanation
        next.state = state
        next.done |= 1 << UInt64(other)
        next = settled(next)
        if found.insert(next).inserted { rest.append(next) }
      }
      if found.count > Self.explanationLimit { break }
    }
    return found
  }

  /// Takes every open call that fits and changes nothing.
  private func settled(_ explanation: Explanation) -> Explanation {
    var result = explanation
    for (slot, place) in open.enumerated() {
      guard let place, calls[place].isPassive else { continue }
      if calls[place].apply(to: result.state) != nil { result.done |= 1 << UInt64(slot) }
    }
    return result
  }
}
