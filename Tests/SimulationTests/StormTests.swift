import RoostSimulation
import Testing

/// Whole clusters under faults; `kvsim run --seed N --trace` tells the story of a seed that fails.
@Suite struct StormTests {
  private static let second: UInt64 = 1_000_000_000

  private static func run(_ plan: StormPlan) -> StormReport { SimulatedCluster(plan).run() }

  /// Nothing false is ever told, and once all is healed every call ends and all nodes know the same.
  @Test(arguments: UInt64(1)...24)
  func staysSafeThenConverges(seed: UInt64) {
    let report = Self.run(StormPlan(seed: seed, length: 3 * Self.second))
    #expect(report.isGood, "kvsim run --seed \(seed) --seconds 3: \(report)")
    #expect(report.answeredCount > 0)
  }

  @Test(arguments: [1, 2, 3, 5])
  func aCalmClusterAnswersEveryCall(nodeCount: Int) {
    let report = Self.run(StormPlan(calm: 7, nodeCount: nodeCount, length: Self.second))
    #expect(report.isGood, "\(report)")
    #expect(report.answeredCount == report.callCount)
    #expect(report.highestTerm == 1, "nothing disturbs the first leader")
  }

  @Test func theSameSeedGivesTheSameStory() {
    func story(_ seed: UInt64) -> [String] {
      var lines: [String] = []
      let plan = StormPlan(seed: seed, length: Self.second)
      let report = SimulatedCluster(plan, narrator: { lines.append($0) }).run()
      return lines + ["\(report)"]
    }
    let first = story(7)
    #expect(first.count > 100)
    #expect(first == story(7))
    #expect(first != story(8))
  }
}
