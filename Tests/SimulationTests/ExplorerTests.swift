import RoostRaft
import RoostSimulation
import Testing

/// The exhaustive search: it goes as far as it says, finds nothing in the core, and finds what is planted.
@Suite struct ExplorerTests {
  @Test func twoVotersAreGoneThroughToTheEnd() {
    var model = ExplorationModel("pair")
    model.voterCount = 2
    model.entryLimit = 1
    var explorer = Explorer(model)
    while explorer.explore(atMost: 1000) {}
    #expect(explorer.violation == nil)
    #expect(explorer.isExhausted)
    #expect(explorer.stateCount > 100)
  }

  @Test(arguments: ExplorationModel.catalogue.map(\.name))
  func nothingIsFoundInTheCore(name: String) throws {
    let model = try #require(ExplorationModel.catalogue.first { $0.name == name })
    var explorer = Explorer(model)
    while explorer.stateCount < 10_000, explorer.explore(atMost: 500) {}
    #expect(explorer.violation == nil, "\(explorer.violation?.story ?? [])")
  }

  #if PLANTED_BUGS
  @Test(arguments: [
    (Flaw.voteBeforeSync, "elections"), (.campaignBeforeSync, "elections"),
    (.acknowledgeBeforeSync, "elections"), (.countOwnBeforeSync, "elections"),
    (.voteTwice, "elections"),
  ])
  func aPlantedMistakeIsFound(flaw: Flaw, in name: String) throws {
    var model = try #require(ExplorationModel.catalogue.first { $0.name == name })
    model.flaw = flaw
    var explorer = Explorer(model)
    while explorer.stateCount < 100_000, explorer.explore(atMost: 500) {}
    let violation = try #require(explorer.violation)
    #expect(!violation.story.isEmpty)
  }
  #endif
}
