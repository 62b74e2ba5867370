@testable import RoostStateMachine
import RoostWire
import Testing

/// The state machine against the model, on everything that can be seen of them.
@Suite struct ModelTests {
  /// Small enough that every limit is met, but for those whose steps the model does not count.
  static var limits: StateLimits {
    var limits = StateLimits.tiny
    limits.clearingSteps = 10_000
    limits.operations = 40
    limits.historyRevisions = 25
    return limits
  }

  /// How many entries a seed applies; by command far more: `ROOST_STEPS=100000`.
  static let steps = Environment.number("ROOST_STEPS") ?? 250
  static let seeds = UInt64(1)...UInt64(Environment.number("ROOST_SEEDS") ?? 10)

  @Test(arguments: seeds)
  func everyAnswerIsTheModels(seed: UInt64) throws {
    let limits = seed % 3 == 0 ? StateLimits() : Self.limits
    let difference = try Self.firstDifference(seed: seed, steps: Self.steps, limits)
    #expect(difference == nil)
  }

  /// Lives in which the state once wanted an entry for time at another moment than the model.
  @Test(arguments: [3178, 3610, 4393, 6354, 7860, 8748, 11140, 11682] as [UInt64])
  func theNextDeadlineIsTheModels(seed: UInt64) throws {
    try everyAnswerIsTheModels(seed: seed)
  }

  #if PLANTED_BUGS
  /// The comparison is worth what it finds: each mistake shows within a few lives.
  @Test(arguments: Flaw.allCases)
  func aPlantedMistakeIsFound(flaw: Flaw) throws {
    var limits = Self.limits
    limits.flaw = flaw
    let found = try (UInt64(1)...20).contains { seed in
      try Self.firstDifference(seed: seed, steps: 250, limits) != nil
    }
    #expect(found, "nobody noticed")
  }
  #endif

  /// Lives one life beside the model; answers where they part first.
  private static func firstDifference(
    seed: UInt64,
    steps: Int,
    _ limits: StateLimits
  ) throws -> String? {
    var workload = RandomWorkload(seed: seed)
    var driver = Driver(limits: limits)
    var model = Model(limits: limits)
    for step in 0..<steps {
      let batch = workload.batch()
      driver.time = workload.time
      let replies = try driver.apply(batch)
      let expected = model.apply(batch, time: workload.time, hints: replies)
      for (index, pair) in zip(replies, expected).enumerated() where pair.0 != pair.1 {
        return "step \(step): \(batch[index])\n  is \(pair.0)\n  not \(pair.1)"
      }
      if let difference = try differenceBesides(driver, model) {
        return "step \(step): \(difference)"
      }
      for reply in replies { workload.learn(reply) }
      let query = workload.query()
      guard try driver.read(query) == model.answer(query) else { return "step \(step): \(query)" }
      if workload.random.chance(1, in: 60) {
        #if PLANTED_BUGS
        let flaw = driver.state.limits.flaw
        driver.state = try ReplicatedState(chunks: driver.state.snapshotChunks())
        driver.state.limits.flaw = flaw
        #else
        driver.state = try ReplicatedState(chunks: driver.state.snapshotChunks())
        #endif
      }
    }
    return nil
  }

  private static func differenceBesides(_ driver: Driver, _ model: Model) throws -> String? {
    let events = try driver.output.events.map { event in
      try Event(decodingAll: Array(driver.output.eventBytes[event.bytes]))
    }
    let addressees = driver.output.events.map { [$0.session.rawValue, $0.sequence.rawValue] }
    let state = driver.state
    if events != model.events.map({ $0.event }) { return "events \(events)" }
    if addressees != model.events.map({ [$0.session, $0.sequence] }) { return "addressees" }
    if state.revision.rawValue != model.revision { return "revision \(state.revision)" }
    if state.oldestRevision.rawValue != model.oldest { return "oldest \(state.oldestRevision)" }
    if state.nextDeadline?.rawValue != model.nextDeadline {
      let (found, expected) = (state.nextDeadline?.rawValue ?? 0, model.nextDeadline ?? 0)
      return "next deadline \(found) of \(String(describing: state.timers.first)), not \(expected)"
    }
    return state.stateHash == model.stateHash ? nil : "hash"
  }

  /// A workload that never meets a rule proves nothing about it.
  @Test func theWorkloadMeetsNearlyEveryRule() throws {
    var codes: [ErrorCode: Int] = [:]
    var kinds: [UInt8: Int] = [:]
    for seed in UInt64(1)...12 {
      var workload = RandomWorkload(seed: seed)
      var driver = Driver(limits: Self.limits)
      for _ in 0..<500 {
        driver.time = workload.time
        for reply in try driver.apply(workload.batch()) {
          workload.learn(reply)
          if case .failure(let failure) = reply {
            codes[failure.code, default: 0] += 1
          } else {
            kinds[reply.encoded()[2], default: 0] += 1
          }
        }
      }
    }
    let missed = ErrorCode.allCases.filter { $0.rawValue < 100 && codes[$0] == nil }
    let elsewhere: [ErrorCode] = [
      .malformed, .unsupported, .tooLarge, .barred, .notAuthorised, .nestedTooDeep,
      .lockTimedOut, .lockCancelled, .lockForced, .tooManyOperations,
    ]
    #expect(missed.allSatisfy { elsewhere.contains($0) }, "\(missed)")
    #expect(Set(0...11).subtracting(kinds.keys).isEmpty, "\(kinds)")
    print(codes.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key) \($0.value)" }, kinds)
  }
}
