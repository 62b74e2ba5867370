import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

@Suite struct JournalTests {
  @Test func anEmptyDirectoryBecomesAnEmptyLog() throws {
    let bench = try JournalBench()
    #expect(bench.recovered.entries.isEmpty)
    #expect(bench.recovered.hardState == HardState())
    #expect(bench.recovered.findings.isEmpty)
    try bench.reopen()
    #expect(bench.recovered.findings.isEmpty)
  }

  @Test func whatIsAcknowledgedIsThereAgain() throws {
    let bench = try JournalBench()
    for round in 0..<40 {
      bench.append([round * 7, 300, 0, 1500], hardState: HardState(term: Term(UInt64(round) + 1)))
      bench.finish()
    }
    #expect(bench.acknowledged == 40)
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.opened == bench.latest)
    #expect(bench.recovered.findings.isEmpty)
  }

  @Test func nothingIsAcknowledgedBeforeItsWriteIsComplete() throws {
    let bench = try JournalBench()
    bench.finish()
    bench.append([100])
    bench.poll()
    #expect(bench.acknowledged == 0)
    bench.finish()
    #expect(bench.acknowledged == 1)
  }

  @Test func whatWaitsGoesOutTogether() throws {
    let bench = try JournalBench()
    bench.finish()
    for _ in 0..<10 { bench.append([20]) }
    #expect(bench.disk.pending.count == 1)
    bench.disk.finish()
    bench.poll()
    #expect(bench.acknowledged == 1)
    bench.disk.finish()
    bench.poll()
    #expect(bench.acknowledged == 10)
  }

  @Test func aTruncatedTailIsReplaced() throws {
    let bench = try JournalBench()
    bench.append([10, 20, 30, 40])
    bench.append([50, 60], truncateFrom: 3, hardState: HardState(term: Term(2), vote: NodeID(9)))
    bench.append([], truncateFrom: 2)
    bench.append([70])
    bench.finish()
    try bench.reopen()
    #expect(bench.opened == bench.latest)
    bench.append([80], truncateFrom: 1)
    bench.finish()
    try bench.reopen()
    #expect(bench.opened == bench.latest)
  }

  @Test func theCommitHintComesBackWithTheNextGroup() throws {
    let bench = try JournalBench()
    bench.append([1, 2, 3])
    bench.journal.noteCommit(LogIndex(2))
    bench.finish()
    bench.append([1])
    bench.finish()
    try bench.reopen()
    #expect(bench.recovered.commitHint == LogIndex(2))
  }

  @Test func aTornTailIsCutAndSaidSo() throws {
    let bench = try JournalBench()
    bench.append([100])
    bench.finish()
    bench.append([1400])
    var sector = 0
    bench.disk.crash {
      sector += 1
      return sector != 2
    }
    try bench.reopen()
    #expect(bench.opened.entries == bench.state(after: 1).entries)
    guard case .tornTail? = bench.recovered.findings.first else {
      Issue.record("no torn tail in \(bench.recovered.findings)")
      return
    }
    bench.journal.append(ticket: 1, entries: [JournalBench.entry(2, byteCount: 50)])
    bench.finish()
    try bench.reopen()
    #expect(bench.recovered.entries.count == 2)
    #expect(bench.recovered.findings.isEmpty)
  }

  @Test func damageInTheMiddleIsNeverTakenForATornTail() throws {
    let bench = try JournalBench()
    for _ in 0..<5 {
      bench.append([300], hardState: HardState(term: Term(4), vote: NodeID(2)))
      bench.finish()
    }
    try bench.disk.damage("0000000000000001.log", 4096 + 1024 + 100..<4096 + 1024 + 110) { ~$0 }
    try bench.reopen()
    #expect(bench.recovered.entries.count == 1)
    #expect(bench.recovered.hardState == HardState(term: Term(4), vote: NodeID(2)))
    #expect(bench.recovered.promised == LogPosition(term: Term(4), index: LogIndex(5)))
    guard case .damage? = bench.recovered.findings.last else {
      Issue.record("no damage in \(bench.recovered.findings)")
      return
    }
  }

  @Test func healingByReplicationEndsThePromise() throws {
    let bench = try JournalBench()
    for _ in 0..<3 {
      bench.append([300])
      bench.finish()
    }
    try bench.disk.damage("0000000000000001.log", 4100..<4101) { ~$0 }
    try bench.reopen()
    #expect(bench.recovered.entries.isEmpty)
    #expect(bench.recovered.promised == LogPosition(term: Term(1), index: LogIndex(3)))
    try bench.reopen()
    #expect(bench.recovered.promised == LogPosition(term: Term(1), index: LogIndex(3)))
    bench.journal.append(ticket: 1, entries: [bench.latest.entries[0]])
    bench.finish()
    try bench.reopen()
    #expect(bench.recovered.promised == LogPosition(term: Term(1), index: LogIndex(3)))
    bench.journal.append(ticket: 1, entries: [UInt8](1...2).map { bench.latest.entries[Int($0)] })
    bench.finish()
    try bench.reopen()
    #expect(bench.recovered.promised == nil)
    #expect(bench.opened.entries == bench.latest.entries)
  }
}
