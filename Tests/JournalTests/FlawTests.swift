import RoostJournal
import RoostSimulation
import RoostWire
import Testing

#if PLANTED_BUGS
/// The laws are worth something: they find every mistake that is planted.
@Suite struct FlawTests {
  @Test(arguments: JournalFlaw.allCases)
  func theLawsFindIt(flaw: JournalFlaw) throws {
    switch flaw {
    case .acknowledgeBeforeSync, .acknowledgeOutOfOrder, .forgetCut, .removeBeforeSnapshot:
      #expect(try Self.isFoundByCrashes(flaw))
    case .cutDamage, .ignoreTrailers, .ignoreDurableThrough:
      #expect(try Self.isFoundByDamage(flaw))
    case .packWithoutProof:
      #expect(try Self.isFoundByCrashes(flaw, entryLimit: 60))
    }
  }

  private static func isFoundByCrashes(
    _ flaw: JournalFlaw,
    entryLimit: UInt64 = 1500
  ) throws -> Bool {
    for seed in UInt64(1)...200 {
      var life = try JournalLife(seed: seed, entryLimit: entryLimit, flaw: flaw)
      do {
        try life.run(rounds: 60)
        if !life.objections.isEmpty { return true }
      } catch is JournalError {
        // What was written can't be read: found as well.
        return true
      }
    }
    return false
  }

  private static func isFoundByDamage(_ flaw: JournalFlaw) throws -> Bool {
    let bench = try DamageLawTests.journal()
    let planted = bench.settings.planted(flaw)
    for name in try bench.disk.list() where name.hasSuffix(".log") {
      for start in stride(from: 4096, to: 16384, by: 512) {
        for isLost in [true, false] {
          let disk = bench.disk.copy()
          try disk.damage(name, start..<start + 512) { isLost ? 0 : $0 ^ 1 }
          // What no journal can notice does not count: a last write that was lost without a trace.
          if isSound(disk.copy(), bench, bench.settings), !isSound(disk, bench, planted) {
            return true
          }
        }
      }
    }
    return false
  }

  private static func isSound(
    _ disk: SimulatedDisk,
    _ bench: JournalBench,
    _ settings: JournalSettings
  ) -> Bool {
    DamageLawTests.objection(to: disk, bench, settings: settings, mayRefuse: false) == nil
  }
}
#endif
