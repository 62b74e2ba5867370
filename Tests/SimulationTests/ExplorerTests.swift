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

  /// What the core is told by its journal is needed: without it the search finds a loss.
  @Test func damageThatNobodySeesLosesEntries() {
    var model = ExplorationModel.damage
    model.termLimit = 2
    model.seesDamage = false
    var explorer = Explorer(model)
    while explorer.stateCount < 50_000, explorer.explore(atMost: 500) {}
    let sentence = explorer.violation?.sentence ?? "nothing"
    #expect(sentence.hasPrefix("leader completeness"), "\(sentence)")
  }

  /// What is dropped as spent, and what is taken for a mirror image, hides nothing.
  @Test func theShortcutsMakeNoDifference() {
    var pair = ExplorationModel("two voters in two terms")
    pair.voterCount = 2
    pair.entryLimit = 0
    var slow = ExplorationModel("three voters in a term, slow disks")
    slow.termLimit = 1
    slow.entryLimit = 0
    var prompt = ExplorationModel("three voters in a term, two entries")
    prompt.termLimit = 1
    prompt.hasSlowDisks = false
    prompt.crashLimit = 0
    for model in [pair, slow, prompt] {
      let short = situations(model, takesShortcuts: true)
      let long = situations(model, takesShortcuts: false)
      #expect(short.situations == long.situations, "\(model.name)")
      #expect(short.states * 4 < long.states, "\(model.name)")
    }
  }

  private func situations(
    _ model: ExplorationModel,
    takesShortcuts: Bool
  ) -> (situations: Int, states: Int) {
    var model = model
    model.countsSituations = true
    model.takesShortcuts = takesShortcuts
    model.messageLimit = .max
    var explorer = Explorer(model)
    while explorer.explore(atMost: 1000) {}
    return (explorer.situationCount, explorer.stateCount)
  }
}
