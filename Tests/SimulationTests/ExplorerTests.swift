import RoostRaft
import RoostSimulation
import Testing

/// The exhaustive search: it goes as far as it says, and finds nothing in the core.
@Suite struct ExplorerTests {
  @Test func twoVotersAreGoneThroughToTheEnd() {
    var model = ExplorationModel("two voters")
    model.voterCount = 2
    model.entryLimit = 2
    var explorer = Explorer(model)
    while explorer.explore(atMost: 1000) {}
    let story = explorer.violation?.story ?? []
    let (isExhausted, crowded, states) = (
      explorer.isExhausted, explorer.crowdedCount, explorer.stateCount
    )
    #expect(story == [])
    #expect(isExhausted)
    #expect(crowded == 0)
    #expect(states > 1000)
  }

  @Test(arguments: ExplorationModel.catalogue.map(\.name))
  func nothingIsFoundInTheCore(name: String) throws {
    let model = try #require(ExplorationModel.catalogue.first { $0.name == name })
    var explorer = Explorer(model)
    while explorer.stateCount < 4000, explorer.explore(atMost: 500) {}
    let story = explorer.violation?.story ?? []
    #expect(story == [])
  }
}
