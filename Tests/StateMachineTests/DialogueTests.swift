import RoostStateMachine
import RoostWire
import TestSupport
import Testing

/// The features as dialogues: what is asked, what is answered, and why.
///
/// After an intended change run `ROOST_REWRITE=1 swift test --filter DialogueTests`, and read the scripts'
/// difference as carefully as the code's.
@Suite struct DialogueTests {
  @Test(arguments: Scenario.files(in: "Scenarios"))
  func dialogue(path: String) throws {
    let dialogue = Dialogue()
    let (expected, actual) = try Scenario(path: path).run { dialogue.answer($0) }
    #expect(expected == actual, "\(Scenario.firstDifference(expected, actual))")
  }
}
