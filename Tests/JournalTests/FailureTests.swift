import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// What happens when the disk says no.
@Suite struct FailureTests {
  @Test(arguments: [DiskError.Reason.failed, .noSpace, .readOnly])
  func afterAFailedWriteNothingIsAcknowledgedAnyMore(reason: DiskError.Reason) throws {
    let bench = try JournalBench()
    bench.append([10])
    bench.finish()
    bench.disk.nextWriteFailure = reason
    bench.append([20])
    bench.append([30])
    bench.disk.finish()
    let report = bench.journal.poll()
    #expect(report.failure?.reason == reason)
    #expect(report.durable == nil)
    bench.append([40])
    bench.disk.finish()
    #expect(bench.journal.poll().durable == nil)
    #expect(bench.journal.poll().failure?.reason == reason)
    #expect(!bench.journal.admitsWrites)
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.opened.entries == bench.state(after: 1).entries)
  }

  @Test func aLaterWriteIsNotAcknowledgedBeforeAnEarlierOne() throws {
    var settings = JournalSettings.tiny
    settings.inFlightLimit = 3
    let bench = try JournalBench(settings: settings)
    bench.finish()
    for size in [10, 20, 30] { bench.append([size]) }
    let jobs = bench.disk.pending
    #expect(jobs.count == 3)
    bench.disk.step(jobs[2])
    bench.disk.step(jobs[1])
    bench.poll()
    #expect(bench.acknowledged == 0)
    bench.disk.step(jobs[0])
    bench.poll()
    #expect(bench.acknowledged == 3)
  }

  @Test func aFullDiskRefusesAndRecoversByItself() throws {
    let bench = try JournalBench()
    bench.finish()
    bench.disk.capacity = 16384 * 2 + 1000
    var written = 0
    while bench.journal.admitsWrites {
      bench.append([1000])
      bench.finish()
      written += 1
      try #require(written < 100, "a full disk is noticed")
    }
    #expect(bench.journal.failure == nil)
    // Votes and the hand-over of leadership still find room.
    bench.append([100], hardState: HardState(term: Term(9), vote: NodeID(1)))
    bench.finish()
    #expect(bench.acknowledged == UInt64(written) + 1)
    bench.journal.retry()
    bench.finish()
    #expect(!bench.journal.admitsWrites)
    bench.disk.capacity = nil
    bench.journal.retry()
    bench.finish()
    #expect(bench.journal.admitsWrites)
    bench.append([1000])
    bench.finish()
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.opened == bench.latest)
  }

  @Test func aSnapshotMakesRoomOnAFullDisk() throws {
    let bench = try JournalBench()
    for _ in 0..<20 {
      bench.append([1000])
      bench.finish()
    }
    let used = try bench.disk.list().reduce(0) { try $0 + bench.disk.byteCount(of: $1) }
    bench.disk.capacity = used + 2000
    while bench.journal.admitsWrites {
      bench.append([1000])
      bench.finish()
    }
    bench.journal.saveSnapshot(SnapshotTests.label(20), from: SnapshotTests.Pieces([[1]]))
    bench.finish()
    bench.journal.retry()
    bench.finish()
    #expect(bench.journal.admitsWrites)
    try bench.reopen()
    #expect(bench.recovered.entries == Array(bench.latest.entries[20...]))
  }

  @Test func aSnapshotThatFindsNoSpaceCostsOnlyItself() throws {
    let bench = try JournalBench()
    bench.append([10, 10])
    bench.finish()
    bench.disk.nextOperationFailure = .noSpace
    bench.journal.saveSnapshot(SnapshotTests.label(1), from: SnapshotTests.Pieces([[1]]))
    bench.disk.finish()
    #expect(bench.journal.poll().snapshotFailure?.reason == .noSpace)
    bench.append([10])
    bench.finish()
    #expect(bench.acknowledged == 2)
    #expect(try bench.disk.list().allSatisfy { !$0.hasSuffix(".new") })
    bench.journal.saveSnapshot(SnapshotTests.label(2), from: SnapshotTests.Pieces([[1]]))
    bench.finish()
    #expect(bench.journal.newestSnapshot?.label == SnapshotTests.label(2))
  }

  @Test func whatNobodyCouldWriteDoesNotOpen() throws {
    let disk = SimulatedDisk()
    disk.nextOperationFailure = .readOnly
    let error = #expect(throws: JournalError.self) {
      try Journal.open(on: disk, as: JournalBench.identity, settings: .tiny)
    }
    #expect("\(error as Any)".contains("read-only"))
  }

  @Test func entriesLongerThanAGroupAreWrittenWhole() throws {
    var settings = JournalSettings.tiny
    settings.groupByteLimit = 100
    let bench = try JournalBench(settings: settings)
    bench.append([1500, 1, 1500, 2])
    bench.finish()
    try bench.reopen()
    #expect(bench.opened == bench.latest)
  }

  @Test func aChangedSegmentLengthStartsANewSegment() throws {
    let bench = try JournalBench()
    bench.append([500])
    bench.finish()
    for byteCount in [32768, 8192 + 4096, 16384] {
      var settings = JournalSettings.tiny
      settings.segmentByteCount = byteCount
      let (journal, recovered) = try Journal.open(
        on: bench.disk,
        as: JournalBench.identity,
        settings: settings
      )
      #expect(recovered.entries == bench.latest.entries)
      #expect(recovered.findings.isEmpty)
      bench.journal = journal
      bench.append([700])
      bench.finish()
    }
    try bench.reopen()
    #expect(bench.opened == bench.latest)
    #expect(bench.recovered.findings.isEmpty)
  }
}
