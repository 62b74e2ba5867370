import RoostPlatform
import Testing

@Suite struct SpinRuleTests {
  @Test func itIsWorthItWhileWaitsAreShort() {
    var rule = SpinRule(limit: .microseconds(100))
    #expect(!rule.isWorthIt(at: 0), "nobody spins before there was something to do")
    for _ in 0..<20 { rule.didWait(50_000) }
    #expect(rule.isWorthIt(at: 0))
    for _ in 0..<4 { rule.didWait(100_000_000) }
    #expect(!rule.isWorthIt(at: 0), "an idle node sleeps")
    for _ in 0..<20 { rule.didWait(190_000) }
    #expect(rule.isWorthIt(at: 0), "it is found out without spinning that waits are short again")
  }

  @Test func oneLongWaitAmongShortOnesChangesLittle() {
    var rule = SpinRule(limit: .microseconds(100))
    for _ in 0..<20 { rule.didWait(1_000) }
    rule.didWait(500_000)
    #expect(rule.isWorthIt(at: 0))
  }

  @Test func whoeverMeetsLongWorkOfOthersPausesEverLonger() {
    var rule = SpinRule(limit: .microseconds(100))
    for _ in 0..<20 { rule.didWait(1_000) }
    let second: UInt64 = 1_000_000_000
    let staysAwake = rule.didYield(300_000, at: second)
    #expect(staysAwake, "a member's short turn is no long work")
    #expect(rule.isWorthIt(at: second))
    let mayGoOn = rule.didYield(3_000_000, at: 10 * second)
    #expect(!mayGoOn)
    #expect(!rule.isWorthIt(at: 10 * second))
    #expect(rule.isWorthIt(at: 10 * second + second / 100))
    for _ in 0..<10 { _ = rule.didYield(3_000_000, at: 11 * second) }
    #expect(!rule.isWorthIt(at: 12 * second - 1))
    #expect(rule.isWorthIt(at: 12 * second))
    _ = rule.didYield(3_000_000, at: 20 * second)
    #expect(rule.isWorthIt(at: 20 * second + second / 100), "after a calm while it is as at first")
  }

  @Test func withoutALimitItNeverIs() {
    var rule = SpinRule(limit: .zero)
    for _ in 0..<20 { rule.didWait(0) }
    #expect(!rule.isWorthIt(at: 0))
  }
}
