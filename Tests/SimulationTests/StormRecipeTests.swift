import RoostSimulation
import Testing

/// Storms as a few lines of text, and what is told of them line by line.
@Suite struct StormRecipeTests {
  @Test func aRecipeComesBackFromItsText() {
    var recipe = StormRecipe(seed: 7, seconds: 3)
    #expect(StormRecipe(recipe.text) == recipe)
    recipe.end = 2_000_000_000
    recipe.clients = 2
    recipe.without = [.weather, .turns]
    recipe.faults = [0, 3]
    recipe.flaw = "raft.voteTwice"
    #expect(StormRecipe(recipe.text) == recipe)
    #expect(StormRecipe("# found by chance\n\n" + recipe.text) == recipe)
    #expect(recipe.plan.clients.count <= 2)
  }

  @Test(arguments: [
    "", "seconds 3", "seed x", "seed 1\nflaw none", "seed 1\nwithout rain", "# seed 1",
  ])
  func whatIsNoRecipeIsRefused(text: String) {
    #expect(StormRecipe(text) == nil)
  }

  @Test func aRecipeRunsAsItsSeedDoes() {
    let recipe = StormRecipe(seed: 5, seconds: 1)
    let plan = StormPlan(seed: 5, length: 1_000_000_000)
    #expect(SimulatedCluster(recipe.plan).run() == SimulatedCluster(plan).run())
  }

  #if PLANTED_BUGS
  /// What is left fails in the same way, and nothing can be left out of it.
  @Test func aFailingStormIsMadeSmaller() throws {
    var recipe = StormRecipe(seed: 1, seconds: 5)
    recipe.flaw = "replica.entrySkipped"
    while SimulatedCluster(recipe.plan).run().isGood { recipe.seed += 1 }
    var shrinker = try #require(StormShrinker(recipe))
    let kind = shrinker.violation.kind
    shrinker.shrink(isOver: { false }, tell: { _ in })
    #expect(shrinker.recipe.faultCount < recipe.faultCount)
    let again = SimulatedCluster(try #require(StormRecipe(shrinker.recipe.text)).plan).run()
    #expect(again.violations.first?.kind == kind)
  }
  #endif

  @Test func eachStepOfTheProtocolIsALineOfItsOwnAndTheSameEveryTime() {
    func lines() -> [String] {
      var lines: [String] = []
      let plan = StormPlan(seed: 7, length: 1_000_000_000)
      _ = SimulatedCluster(plan, recorder: { lines.append($0) }).run()
      return lines
    }
    let first = lines()
    #expect(first == lines())
    for step in ["start", "state", "send", "receive", "write", "synced"] {
      #expect(first.contains { $0.contains("\"step\":\"\(step)\"") }, "\(step)")
    }
    #expect(first.allSatisfy { $0.hasPrefix("{\"at\":") && $0.hasSuffix("}") })
    #expect(!first.contains { $0.contains("(") || $0.contains("\n") })
  }
}
