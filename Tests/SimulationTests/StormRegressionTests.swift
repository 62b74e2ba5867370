import RoostSimulation
import Testing

/// What storms found, each as the smallest storm that shows it.
@Suite struct StormRegressionTests {
  private static let second: UInt64 = 1_000_000_000

  /// A calm cluster of three, to which these things happen one second after the other.
  private static func run(_ seed: UInt64, _ actions: FaultAction...) -> StormReport {
    var plan = StormPlan(calm: seed, length: UInt64(actions.count + 2) * second)
    plan.faults = actions.enumerated().map { number, action in
      Fault(time: UInt64(number + 1) * second, action: action)
    }
    return SimulatedCluster(plan).run()
  }

  /// Its bytes were applied as if they were requests.
  @Test func anEntryWithAMembershipMeansNothingToTheState() {
    let report = Self.run(
      1,
      .members(voters: [0, 1], learners: [2]),
      .members(voters: [0, 1, 2], learners: [])
    )
    #expect(report.isGood, "\(report)")
    #expect(report.marks["membership changed", default: 0] >= 2)
  }

  /// The leader went back to what the node had acknowledged before, and no further, over and over.
  @Test func aNodeThatComesBackDamagedWithinATermIsHealed() {
    var healed = 0
    for draw in 1...30 as ClosedRange<UInt64> {
      let report = Self.run(draw, .bitRot(node: Int(draw % 3), draw: draw, down: 300_000_000))
      #expect(report.isGood, "draw \(draw): \(report)")
      healed += report.marks["damaged log healed by the others", default: 0]
    }
    #expect(healed > 0, "none of the draws hit what was acknowledged")
  }

  /// The node came back without its disk, as somebody else, and was asked in again.
  @Test func aLostDiskIsReplaced() {
    let report = Self.run(1, .diskLoss(node: 1, down: 300_000_000))
    #expect(report.isGood, "\(report)")
    #expect(report.marks["disk lost", default: 0] == 1)
    #expect(report.marks["membership changed", default: 0] >= 2)
  }
}
