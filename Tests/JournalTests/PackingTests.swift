import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// Full segments of small groups are written again, smaller, and say the same.
@Suite struct PackingTests {
  static let log1 = DamageLawTests.log1

  private static func packedCount(_ disk: SimulatedDisk) throws -> Int {
    var count = 0
    try JournalInspection(of: disk).dump { if $0.contains("packed through") { count += 1 } }
    return count
  }

  @Test(arguments: CrashLawTests.variants)
  func aSegmentOfSmallGroupsIsPackedAndSaysTheSame(settings: JournalSettings) throws {
    let bench = try JournalBench(settings: settings)
    for round in UInt64(0)..<80 {
      let term = HardState(term: Term(round / 7 + 1), vote: NodeID(round % 3))
      bench.append(
        round % 11 == 3 ? [] : [20, Int(round)],
        truncateFrom: round % 13 == 12 ? UInt64(bench.latest.entries.count) : nil,
        hardState: round % 5 == 0 ? term : nil
      )
      bench.finish()
    }
    let byteCounts = try bench.disk.list().filter { $0.hasSuffix(".log") }
      .map { try bench.disk.byteCount(of: $0) }
    #expect(byteCounts.dropLast(2).allSatisfy { $0 < settings.segmentByteCount / 2 + 4096 })
    #expect(try Self.packedCount(bench.disk) == byteCounts.count - 2)
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.opened == bench.latest)
    #expect(bench.recovered.findings.isEmpty)
    #expect(try JournalInspection(of: bench.disk).check().verdict == .sound)
  }

  @Test(arguments: CrashLawTests.variants)
  func noCrashWhileASegmentIsPackedLosesAnything(settings: JournalSettings) throws {
    var random = SplitMix64(seed: 8)
    let bench = try JournalBench(settings: settings)
    var crashes = 0
    for round in 0..<40 {
      bench.append([40], hardState: HardState(term: Term(UInt64(round) / 9 + 1)))
      while let job = bench.disk.pending.randomChoice(&random) {
        bench.disk.step(job)
        bench.poll()
        guard round > 6 else { continue }
        try CrashLawTests.everyCrash(of: bench.disk, random: &random) { disk in
          crashes += 1
          try CrashLawTests.check(disk, bench)
        }
      }
    }
    #expect(crashes > 300, "\(crashes)")
    #expect(try Self.packedCount(bench.disk) > 0)
  }

  @Test func whatWasNotPackedIsPackedAfterTheNextStart() throws {
    let bench = try JournalBench()
    for _ in 0..<40 {
      bench.append([40])
      // The log's own writes, and the first steps of whatever else there is.
      for job in bench.disk.pending where job % 2 == 0 { bench.disk.step(job) }
      bench.poll()
      while bench.journal.admitsWrites, !bench.journal.isIdle, let job = bench.disk.pending.first {
        bench.disk.step(job)
        bench.poll()
      }
    }
    bench.disk.crash { false }
    try bench.reopen()
    bench.finish()
    #expect(try Self.packedCount(bench.disk) > 0)
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.opened == bench.latest)
    #expect(bench.recovered.findings.isEmpty)
  }

  @Test func aDamagedSegmentIsLeftAsItIs() throws {
    let bench = try JournalBench()
    while try !bench.disk.list().contains("0000000000000002.log") {
      bench.append([40])
      bench.finish()
    }
    try bench.disk.flipBit(8 * 5000, of: Self.log1)
    for _ in 0..<40 {
      bench.append([40])
      bench.finish()
    }
    #expect(try bench.disk.byteCount(of: Self.log1) == bench.settings.segmentByteCount)
    #expect(try bench.disk.list().allSatisfy { !$0.hasSuffix(".new") })
    #expect(bench.journal.failure == nil)
    try bench.reopen()
    #expect(bench.recovered.promised == bench.latest.last)
  }

  @Test func aFullDiskLeavesASegmentAsItIs() throws {
    let bench = try JournalBench()
    for _ in 0..<14 {
      bench.append([40])
      for job in bench.disk.pending where job % 2 == 0 { bench.disk.step(job) }
      bench.poll()
    }
    bench.disk.nextOperationFailure = .noSpace
    bench.disk.operationsBeforeFailure = 4
    bench.finish()
    #expect(bench.journal.failure == nil)
    bench.append([40])
    bench.finish()
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.opened == bench.latest)
    #expect(bench.recovered.findings.isEmpty)
  }

  @Test func aSnapshotWhileASegmentIsPackedLeavesNothingBehind() throws {
    let bench = try JournalBench()
    for _ in 0..<30 {
      bench.append([40])
      while !bench.journal.isIdle, let job = bench.disk.pending.first {
        bench.disk.step(job)
        bench.poll()
      }
    }
    bench.journal.saveSnapshot(SnapshotTests.label(28), from: SnapshotTests.Pieces([[1, 2, 3]]))
    bench.finish()
    for _ in 0..<20 {
      bench.append([40])
      bench.finish()
    }
    bench.journal.saveSnapshot(SnapshotTests.label(45), from: SnapshotTests.Pieces([[1, 2, 3]]))
    bench.finish()
    #expect(try bench.disk.list().filter { $0.hasSuffix(".log") }.count <= 4)
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.recovered.entries == Array(bench.latest.entries[45...]))
    #expect(bench.recovered.findings.isEmpty)
  }
}
