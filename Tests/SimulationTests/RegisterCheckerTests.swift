import RoostSimulation
import Testing

/// Histories of one key that can be explained, and those that must be refused.
@Suite struct RegisterCheckerTests {
  private static func judge(_ calls: RegisterCall...) -> RegisterChecker.Verdict {
    RegisterChecker.judge(calls)
  }

  private static func isRefused(_ calls: RegisterCall..., at place: Int) -> Bool {
    guard case .refused(let refusal) = RegisterChecker.judge(calls) else { return false }
    return refusal.call == place
  }

  private static func put(
    _ value: Int64,
    _ times: ClosedRange<UInt64>,
    version: UInt64
  ) -> RegisterCall {
    RegisterCall(.put(value), .written(version: version, number: nil), during: times)
  }

  private static func lost(_ value: Int64, _ times: ClosedRange<UInt64>) -> RegisterCall {
    RegisterCall(.put(value), .unknown, during: times)
  }

  private static func read(
    _ value: Int64,
    version: UInt64,
    _ times: ClosedRange<UInt64>
  ) -> RegisterCall {
    RegisterCall(.read, .saw(RegisterState(value: value, version: version)), during: times)
  }

  private static func readNothing(_ times: ClosedRange<UInt64>) -> RegisterCall {
    RegisterCall(.read, .saw(.absent), during: times)
  }

  private static func add(
    _ change: Int64,
    _ times: ClosedRange<UInt64>,
    version: UInt64,
    is number: Int64
  ) -> RegisterCall {
    RegisterCall(.add(change), .written(version: version, number: number), during: times)
  }

  // MARK: Explained

  @Test func oneAfterTheOther() {
    #expect(
      Self.judge(
        Self.put(1, 1...2, version: 1),
        Self.read(1, version: 1, 3...4),
        Self.put(2, 5...6, version: 2),
        Self.read(2, version: 2, 7...8)
      ) == .explained
    )
  }

  @Test func aReadDuringAWriteSeesEither() {
    for seen in [Self.readNothing(2...3), Self.read(1, version: 1, 2...3)] {
      #expect(Self.judge(Self.put(1, 1...4, version: 1), seen) == .explained)
    }
  }

  @Test func aLostWriteMayHaveHappenedOrNot() {
    #expect(Self.judge(Self.lost(1, 1...9), Self.readNothing(10...11)) == .explained)
    #expect(Self.judge(Self.lost(1, 1...9), Self.read(1, version: 1, 10...11)) == .explained)
  }

  @Test func aLostWriteMayHappenLate() {
    #expect(
      Self.judge(
        Self.lost(1, 1...20),
        Self.put(2, 2...3, version: 1),
        Self.read(2, version: 1, 4...5),
        Self.read(1, version: 2, 6...7)
      ) == .explained
    )
  }

  @Test func aRefusedConditionLeavesNoTrace() {
    #expect(
      Self.judge(
        Self.put(1, 1...2, version: 1),
        RegisterCall(.putIf(.absent, 2), .refused, during: 3...4),
        Self.read(1, version: 1, 5...6)
      ) == .explained
    )
  }

  // MARK: Refused

  @Test func aStaleReadIsRefused() {
    #expect(
      Self.isRefused(
        Self.put(1, 1...2, version: 1),
        Self.put(2, 3...4, version: 2),
        Self.read(1, version: 1, 5...6),
        at: 2
      )
    )
  }

  @Test func aLostAcknowledgedWriteIsRefused() {
    #expect(Self.isRefused(Self.put(1, 1...2, version: 1), Self.readNothing(3...4), at: 1))
  }

  @Test func aWriteThatHappensTwiceIsRefused() {
    #expect(
      Self.isRefused(
        Self.put(1, 1...2, version: 1),
        Self.put(2, 3...4, version: 2),
        Self.read(1, version: 3, 5...6),
        at: 2
      )
    )
    #expect(
      Self.isRefused(
        Self.add(5, 1...2, version: 1, is: 5),
        Self.read(10, version: 2, 3...4),
        at: 1
      )
    )
  }

  @Test func aLostWriteThatHappensTwiceIsRefused() {
    #expect(
      Self.isRefused(
        Self.lost(1, 1...20),
        Self.read(1, version: 1, 2...3),
        Self.put(2, 4...5, version: 2),
        Self.read(1, version: 3, 6...7),
        at: 3
      )
    )
  }

  @Test func timeRunningBackwardsIsRefused() {
    #expect(
      Self.isRefused(
        Self.put(1, 1...20, version: 1),
        Self.read(1, version: 1, 2...3),
        Self.readNothing(4...5),
        at: 2
      )
    )
  }

  @Test func aValueThatNobodyWroteIsRefused() {
    #expect(Self.isRefused(Self.put(1, 1...2, version: 1), Self.read(9, version: 1, 3...4), at: 1))
  }

  @Test func aReadBeforeTheWriteIsRefused() {
    #expect(Self.isRefused(Self.read(1, version: 1, 1...2), Self.put(1, 3...4, version: 1), at: 0))
  }

  @Test func anEffectAfterTheEndIsRefused() {
    #expect(
      Self.isRefused(
        Self.lost(1, 1...4),
        Self.readNothing(5...6),
        Self.read(1, version: 1, 7...8),
        at: 2
      )
    )
  }

  @Test func aConditionThatDidNotHoldIsRefused() {
    let put = RegisterCall(
      .putIf(.absent, 2),
      .written(version: 2, number: nil),
      during: 3...4
    )
    #expect(Self.isRefused(Self.put(1, 1...2, version: 1), put, at: 1))
    let refused = RegisterCall(.putIf(.present, 2), .refused, during: 3...4)
    #expect(Self.isRefused(Self.put(1, 1...2, version: 1), refused, at: 1))
  }

  @Test func aDeletionOfNothingIsRefused() {
    let delete = RegisterCall(.delete, .deleted(true), during: 1...2)
    #expect(Self.isRefused(delete, at: 0))
  }

  /// Two orders that each explain one reader, and none that explains both.
  @Test func readersThatDisagreeAreRefused() {
    #expect(
      Self.isRefused(
        Self.lost(1, 1...50),
        Self.lost(2, 1...50),
        Self.read(1, version: 1, 2...3),
        Self.read(2, version: 2, 4...5),
        Self.read(1, version: 1, 6...7),
        at: 4
      )
    )
  }

  @Test func aLongHistoryIsJudgedSoon() {
    var calls: [RegisterCall] = []
    for number in 0..<5000 as Range<UInt64> {
      calls.append(Self.put(Int64(number), 4 * number...4 * number + 9, version: number + 1))
      let seen = Self.read(Int64(number), version: number + 1, 4 * number + 2...4 * number + 10)
      calls.append(seen)
    }
    #expect(RegisterChecker.judge(calls) == .explained)
  }

  /// As long as any that a long storm makes, with four calls open at any time.
  @Test func aHistoryOfAHundredThousandCallsIsJudged() {
    var calls: [RegisterCall] = []
    for number in 0..<50_000 as Range<UInt64> {
      calls.append(Self.put(Int64(number), 4 * number...4 * number + 9, version: number + 1))
      let seen = Self.read(Int64(number), version: number + 1, 4 * number + 2...4 * number + 10)
      calls.append(seen)
    }
    #expect(RegisterChecker.judge(calls) == .explained)
    calls.append(Self.read(1, version: 2, 300_000...300_001))
    guard case .refused(let refusal) = RegisterChecker.judge(calls) else {
      Issue.record("a stale read at the end of a long history was explained")
      return
    }
    #expect(refusal.call == 100_000)
  }
}
