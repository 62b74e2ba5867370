import Foundation
import RoostRaft
import RoostWire
import Testing

/// Thousands of random lives: safety while they last, and recovery when they end.
@Suite struct RandomTests {
  /// In blocks of seeds, so that all cores work.
  ///
  /// `ROOST_LIVES=20000 swift test --filter RandomTests` makes each block longer.
  @Test(arguments: 0..<8)
  func randomLivesBreakNoPromise(block: UInt64) {
    let asked = ProcessInfo.processInfo.environment["ROOST_LIVES"].flatMap { UInt64($0) }
    let count = (asked ?? 2000) / 8
    var coverage = Coverage()
    for seed in block * count..<(block + 1) * count {
      var schedule = Schedule(seed: seed)
      if let violation = schedule.run(steps: 250) {
        Issue.record("seed \(seed): \(violation)")
        return
      }
      coverage.add(schedule.world.coverage)
    }
    for event in Coverage.Event.allCases {
      #expect(coverage.counts[event] ?? 0 >= 10, "\(event) hardly ever happened")
    }
  }

  #if PLANTED_BUGS
  /// Those mistakes that a few dozen lives show; the exhaustive search is there for the others.
  @Test(
    arguments: [
      .voteBeforeSync, .campaignBeforeSync, .countOwnBeforeSync, .acknowledgeBeforeSync,
      .countLearner, .ignoreTermOfReplies, .skipPreviousCheck, .forgetTruncationInLedger,
      .readBeforeOpening, .ignoreIncarnation,
    ] as [Flaw]
  )
  func randomLivesFind(_ flaw: Flaw) {
    for seed in 0..<UInt64(400) {
      var schedule = Schedule(seed: seed)
      schedule.world.plant(flaw)
      if schedule.run(steps: 400) != nil { return }
    }
    Issue.record("\(flaw) is not found")
  }
  #endif
}
