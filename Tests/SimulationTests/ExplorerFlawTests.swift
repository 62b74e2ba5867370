#if PLANTED_BUGS

import RoostRaft
import RoostSimulation
import Testing

/// What is planted into the core is found by the search, each mistake in a small world of its own.
@Suite struct ExplorerFlawTests {
  /// A mistake and a world that shows it.
  struct Plan: Sendable, CustomTestStringConvertible {
    let flaw: Flaw
    var model: ExplorationModel

    init(_ flaw: Flaw, _ adjust: (inout ExplorationModel) -> Void) {
      self.flaw = flaw
      model = ExplorationModel("\(flaw)")
      model.flaw = flaw
      adjust(&model)
    }

    var testDescription: String { "\(flaw)" }
  }

  /// Found by what a single node promises: no word before its sync, and its own invariants.
  static let promises: [Plan] = [
    Plan(.voteBeforeSync) { _ in },
    Plan(.campaignBeforeSync) { _ in },
    Plan(.acknowledgeBeforeSync) { _ in },
    Plan(.forgetTruncationInLedger) {
      $0.entryLimit = 1
      $0.crashLimit = 0
    },
    Plan(.commitUnverified) {
      $0.hasSlowDisks = false
      $0.termLimit = 1
      $0.heartbeatLimit = 1
      $0.entryLimit = 0
      $0.prologue = [.slow([3]), .elect(1), .propose(1)]
    },
  ]

  /// Found by what the cluster does, with no eye on a single node's promises.
  static let outcomes: [Plan] = [
    Plan(.voteBeforeSync) { $0.termLimit = 1 },
    Plan(.campaignBeforeSync) { $0.termLimit = 1 },
    Plan(.acknowledgeBeforeSync) { $0.termLimit = 1 },
    Plan(.countOwnBeforeSync) { $0.termLimit = 1 },
    Plan(.voteTwice) {
      $0.termLimit = 1
      $0.hasSlowDisks = false
    },
    Plan(.voteWithoutLogCheck) { $0.hasSlowDisks = false },
    Plan(.commitOlderTerm) {
      $0.hasSlowDisks = false
      $0.termLimit = 3
      $0.entryLimit = 0
      $0.crashLimit = 1
      $0.prologue = [.elect(1), .deaf([2, 3]), .propose(1)]
    },
    Plan(.countLearner) {
      $0.voterCount = 2
      $0.learnerCount = 1
      $0.termLimit = 1
      $0.crashLimit = 0
    },
    Plan(.ignoreOldVoters) {
      $0.strangerCount = 1
      $0.hasSlowDisks = false
      $0.crashLimit = 0
      $0.termLimit = 1
      $0.entryLimit = 0
      $0.changes = [.init(voters: [1, 2, 4])]
      $0.prologue = [.elect(1), .heartbeat(1)]
    },
    Plan(.leaveJointEarly) {
      $0.strangerCount = 1
      $0.hasSlowDisks = false
      $0.crashLimit = 0
      $0.entryLimit = 0
      $0.changes = [.init(voters: [1, 2, 4])]
      $0.prologue = [
        .elect(1), .heartbeat(1), .slow([4]), .change(1, 0), .slow([2, 3, 4]), .propose(1),
        .slow([2, 3]),
      ]
    },
    Plan(.skipPreviousCheck) {
      $0.hasSlowDisks = false
      $0.crashLimit = 0
      $0.entryLimit = 3
      $0.heartbeatLimit = 1
      $0.prologue = [.elect(1), .deaf([2, 3]), .propose(1)]
    },
    Plan(.truncateWithoutConflict) {
      $0.hasSlowDisks = false
      $0.crashLimit = 0
      $0.duplicateLimit = 1
      $0.termLimit = 1
      $0.entryLimit = 3
      $0.prologue = [.elect(1)]
    },
    Plan(.forgetTruncationInLedger) {
      $0.entryLimit = 0
      $0.crashLimit = 0
    },
    Plan(.reuseReadRound) {
      $0.hasSlowDisks = false
      $0.readLimit = 1
      $0.heartbeatLimit = 1
      $0.crashLimit = 0
      $0.prologue = [.elect(1)]
    },
    Plan(.readBeforeOpening) {
      $0.hasSlowDisks = false
      $0.readLimit = 1
      $0.crashLimit = 0
      $0.prologue = [.elect(1)]
    },
    Plan(.readWithoutQuorum) {
      $0.hasSlowDisks = false
      $0.readLimit = 1
      $0.crashLimit = 0
      $0.prologue = [.elect(1)]
    },
    Plan(.ignoreIncarnation) {
      $0.hasSlowDisks = false
      $0.crashLimit = 0
      $0.amnesiaLimit = 1
    },
  ]

  /// Mistakes that break no rule in the search, and why they don't.
  static let unseen: [Flaw: String] = [
    .ignoreTermOfReplies: "an old leader goes on, but has no quorum: it costs progress, not safety",
    .changeBeforeCommit: "joint memberships overlap; the rule is needed for changes without them",
    .overstayLease: "time stands still in the search: the random lives look for it",
  ]

  @Test func everyMistakeIsLookedFor() {
    let planned = Set((Self.promises + Self.outcomes).map(\.flaw))
    for flaw in Flaw.allCases where !planned.contains(flaw) && Self.unseen[flaw] == nil {
      Issue.record("no search looks for \(flaw)")
    }
  }

  @Test(arguments: promises)
  func aBrokenPromiseIsSeen(plan: Plan) {
    expectFound(plan.model)
  }

  @Test(arguments: outcomes)
  func aPlantedMistakeIsFound(plan: Plan) {
    var model = plan.model
    model.checksPromises = false
    expectFound(model)
  }

  private func expectFound(_ model: ExplorationModel) {
    var explorer = Explorer(model)
    while explorer.stateCount < 100_000, explorer.explore(atMost: 500) {}
    let found = explorer.violation
    let (states, depth) = (explorer.stateCount, explorer.depth)
    #expect(found != nil, "nothing in \(states) states, to depth \(depth)")
    #expect(found.map { $0.story.count > depth } ?? true)
  }
}

#endif
