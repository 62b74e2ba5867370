import RoostRaft
import TestSupport
import Testing

/// Runs the scripts in `Scenarios` and compares the answers.
///
/// After an intended change of behaviour run `ROOST_REWRITE=1 swift test --filter ScenarioTests`, and
/// read the difference of the scripts as carefully as that of the code.
@Suite struct ScenarioTests {
  @Test(arguments: Scenario.files(in: "Scenarios"))
  func scenario(_ path: String) throws {
    var director = Director()
    let (expected, actual) = try Scenario(path: path).run { director.perform($0) }
    #expect(actual == expected, "\(path): \(Scenario.firstDifference(expected, actual))")
    #expect(!actual.contains("unknown directive"))
  }

  #if PLANTED_BUGS
  /// No mistake goes unseen by all of the scripts.
  @Test(arguments: Flaw.allCases)
  func someScriptShows(_ flaw: Flaw) throws {
    for path in Scenario.files(in: "Scenarios") {
      var director = Director()
      director.flaw = flaw
      let (expected, actual) = try Scenario(path: path).compare { director.perform($0) }
      if actual != expected { return }
    }
    Issue.record("no script shows \(flaw)")
  }
  #endif
}
