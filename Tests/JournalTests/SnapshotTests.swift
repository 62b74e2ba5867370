import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

@Suite struct SnapshotTests {
  struct Pieces: SnapshotSource {
    var pieces: ArraySlice<[UInt8]>

    init(_ pieces: [[UInt8]]) { self.pieces = pieces[...] }

    mutating func nextPiece() -> [UInt8]? { pieces.popFirst() }
  }

  static let pieces: [[UInt8]] = [
    [UInt8](repeating: 1, count: 1000), [], [UInt8](repeating: 2, count: 300_000), [3],
  ]
  static let content = pieces.flatMap { $0 }

  static func label(_ index: UInt64, term: UInt64 = 1) -> SnapshotLabel {
    let members = [Member(NodeID(3), contact: [1, 2, 3]), Member(NodeID(4), contact: [4])]
    let mark = SnapshotMark(
      index: LogIndex(index),
      term: Term(term),
      time: ClusterTime(index),
      membership: Membership(founding: members)
    )
    return SnapshotLabel(mark: mark, stateHash: index &* 77)
  }

  /// A journal with fifty entries and a snapshot of all of them.
  private static func sender() throws -> JournalBench {
    let sender = try JournalBench()
    sender.append([Int](repeating: 20, count: 50))
    sender.finish()
    sender.journal.saveSnapshot(label(50), from: Pieces(pieces))
    sender.finish()
    return sender
  }

  static func read(_ reader: SnapshotReader?) throws -> [UInt8] {
    guard var reader else { return [] }
    var bytes: [UInt8] = []
    while let piece = try reader.nextPiece() { bytes += piece }
    return bytes
  }

  @Test func aSavedSnapshotComesBackAndTheLogBehindItGoes() throws {
    let bench = try JournalBench()
    for _ in 0..<30 {
      bench.append([1000])
      bench.finish()
    }
    bench.journal.saveSnapshot(Self.label(25), from: Pieces(Self.pieces))
    bench.append([10])
    bench.finish()
    #expect(bench.journal.newestSnapshot?.label == Self.label(25))
    let logs = try bench.disk.list().filter { $0.hasSuffix(".log") }
    #expect(logs.count < 6, "\(logs)")
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.recovered.snapshot?.label == Self.label(25))
    #expect(bench.recovered.entries == Array(bench.latest.entries[25...]))
    #expect(bench.recovered.base == Self.label(25).mark.position)
    #expect(bench.recovered.findings.isEmpty)
    #expect(try Self.read(bench.journal.readSnapshot()) == Self.content)
    bench.append([10])
    bench.finish()
    try bench.reopen()
    #expect(bench.recovered.entries == Array(bench.latest.entries[25...]))
  }

  /// The others had committed what this node's disk was still waiting to write, after it had cut off what was there: its state was
  /// saved first, and the process stopped at the cut, which was below the snapshot then.
  @Test func aSnapshotMayPassACutThatStillWaitsToBeWritten() throws {
    let bench = try JournalBench()
    bench.append([10, 10, 10, 10, 10])
    bench.finish()
    bench.append([], hardState: HardState(term: Term(2)))
    bench.append([10, 10, 10, 10], truncateFrom: 3)
    let write = try #require(bench.disk.pending.first)
    bench.journal.saveSnapshot(Self.label(5, term: 2), from: Pieces(Self.pieces))
    while let job = bench.disk.pending.first(where: { $0 != write }) {
      bench.disk.step(job)
      bench.poll()
    }
    #expect(bench.journal.newestSnapshot?.label == Self.label(5, term: 2))
    let copy = bench.disk.copy()
    copy.crash { false }
    let (_, early) = try Journal.open(on: copy, as: JournalBench.identity, settings: .tiny)
    #expect(early.base.index == LogIndex(5) && early.entries == [])
    bench.finish()
    #expect(bench.acknowledged == 3)
    bench.append([10])
    bench.finish()
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.recovered.snapshot?.label == Self.label(5, term: 2))
    #expect(bench.recovered.entries == Array(bench.latest.entries[5...]))
    #expect(bench.recovered.findings.isEmpty)
  }

  @Test func theOlderSnapshotServesUntilTheNewOneWasReadBack() throws {
    let bench = try JournalBench()
    bench.append([10, 10, 10, 10])
    bench.finish()
    bench.journal.saveSnapshot(Self.label(2), from: Pieces(Self.pieces))
    bench.finish()
    bench.journal.saveSnapshot(Self.label(4), from: Pieces(Self.pieces))
    var crashes = 0
    while let job = bench.disk.pending.first {
      bench.disk.step(job)
      let copy = bench.disk.copy()
      copy.crash()
      let (journal, recovered) = try Journal.open(
        on: copy,
        as: JournalBench.identity,
        settings: .tiny
      )
      #expect(
        recovered.snapshot?.label == Self.label(2) || recovered.snapshot?.label == Self.label(4)
      )
      #expect(recovered.findings.isEmpty)
      #expect(recovered.base.index.rawValue + UInt64(recovered.entries.count) == 4)
      #expect(try Self.read(journal.readSnapshot()) == Self.content)
      crashes += 1
    }
    #expect(crashes > 5)
  }

  @Test func openingReadsOnlyWhatFollowsTheSnapshot() throws {
    let bench = try JournalBench()
    for _ in 0..<50 {
      bench.append([1000])
      bench.finish()
    }
    let before = Set(bench.disk.pending)
    bench.journal.saveSnapshot(Self.label(45), from: Pieces(Self.pieces))
    let saving = try #require(bench.disk.pending.first { !before.contains($0) })
    while bench.disk.pending.contains(saving) { bench.disk.step(saving) }
    // Before the files that it makes superfluous are gone.
    let logs = try bench.disk.list().filter { $0.hasSuffix(".log") }
    var read: [String] = []
    let inspection = try JournalInspection(of: bench.disk)
    let recovered = try inspection.check { read.append($0) }.recovered
    #expect(recovered.snapshot?.label == Self.label(45) && recovered.entries.count == 5)
    #expect(logs.count > 4 && read.count <= 3 && read == Array(logs.suffix(read.count)))
  }

  @Test func aSnapshotFromAnotherNodeStartsTheLogAnew() throws {
    let sender = try Self.sender()
    let receiver = try JournalBench()
    receiver.append([5, 5])
    receiver.finish()
    try Self.transfer(from: sender.journal, to: receiver.journal, finish: receiver.finish)
    #expect(receiver.journal.newestSnapshot?.label == Self.label(50))
    #expect(try Self.read(receiver.journal.readSnapshot()) == Self.content)
    receiver.journal.append(ticket: 8, restartAfter: Self.label(50).mark.position)
    receiver.journal.append(ticket: 9, entries: [JournalBench.entry(51, byteCount: 7)])
    receiver.finish()
    receiver.disk.crash { false }
    try receiver.reopen()
    #expect(receiver.recovered.base == Self.label(50).mark.position)
    #expect(receiver.recovered.entries == [JournalBench.entry(51, byteCount: 7)])
    #expect(receiver.recovered.findings.isEmpty)
  }

  /// The log went on behind a snapshot that came from another node; without it nothing can be made of the log.
  ///
  /// It was left out without a word: the node voted for whoever asked, committed entries were lost, and what it wrote then
  /// made its directory unreadable.
  @Test func aLogWhoseSnapshotIsDamagedKeepsItsPromise() throws {
    let sender = try Self.sender()
    let receiver = try JournalBench()
    try Self.transfer(from: sender.journal, to: receiver.journal, finish: receiver.finish)
    receiver.journal.append(ticket: 8, restartAfter: Self.label(50).mark.position)
    let entries = [51, 52].map { JournalBench.entry($0, byteCount: 7) }
    receiver.journal.append(ticket: 9, entries: entries)
    receiver.finish()
    let name = try #require(try receiver.disk.list().first { $0.hasSuffix(".snapshot") })
    try receiver.disk.flipBit(8 * 5000, of: name)

    try receiver.reopen()
    #expect(receiver.recovered.snapshot == nil)
    #expect(receiver.recovered.entries.isEmpty)
    #expect(receiver.recovered.promised == entries[1].position)
    let vote = HardState(term: Term(9), vote: NodeID(2))
    receiver.journal.append(ticket: 1, hardState: vote)
    receiver.finish()
    try receiver.reopen()
    #expect(receiver.recovered.promised == entries[1].position)
    #expect(receiver.recovered.hardState == vote)

    try Self.transfer(from: sender.journal, to: receiver.journal, finish: receiver.finish)
    receiver.journal.append(ticket: 1, restartAfter: Self.label(50).mark.position)
    receiver.journal.append(ticket: 2, entries: entries)
    receiver.finish()
    try receiver.reopen()
    #expect(receiver.recovered.snapshot?.label == Self.label(50))
    #expect(receiver.recovered.entries == entries)
    #expect(receiver.recovered.promised == nil)
  }

  /// The core began to take a snapshot anew, and the journal waited for what followed its first part: the two went
  /// round in circles.
  @Test func aSnapshotIsTakenAnewFromItsBeginning() throws {
    let sender = try Self.sender()
    let descriptor = try #require(sender.journal.newestSnapshot).descriptor
    let read = sender.journal.snapshotBytes(of: descriptor, at: 0, byteCount: 70_000)
    let first = try #require(read)
    let receiver = try JournalBench()
    try receiver.journal.receive(first, at: 0, of: descriptor)
    try receiver.journal.receive(first, at: 0, of: descriptor)
    let rest = sender.journal.snapshotBytes(
      of: descriptor,
      at: 70_000,
      byteCount: Int(descriptor.byteCount) - 70_000
    )
    try receiver.journal.receive(try #require(rest), at: 70_000, of: descriptor)
    receiver.finish()
    #expect(receiver.journal.newestSnapshot?.label == Self.label(50))
    #expect(try Self.read(receiver.journal.readSnapshot()) == Self.content)
  }

  static func transfer(
    from sender: Journal,
    to receiver: Journal,
    finish: () -> Void
  ) throws {
    let descriptor = try #require(sender.newestSnapshot).descriptor
    var offset: UInt64 = 0
    while offset < descriptor.byteCount {
      let read = sender.snapshotBytes(of: descriptor, at: offset, byteCount: 70_000)
      let bytes = try #require(read)
      #expect(throws: SnapshotRefusal.expects(offset: Int(offset))) {
        try receiver.receive(bytes, at: offset + 1, of: descriptor)
      }
      try receiver.receive(bytes, at: offset, of: descriptor)
      offset += UInt64(bytes.count)
    }
    finish()
  }

  /// A member with a full disk once kept its leader waiting for ever for a snapshot of which it had all and nothing.
  @Test func aSnapshotThatFoundNoSpaceIsRefusedAndComesAgain() throws {
    let sender = try JournalBench()
    sender.append([10, 10])
    sender.finish()
    sender.journal.saveSnapshot(Self.label(2), from: Pieces(Self.pieces))
    sender.finish()
    let receiver = try JournalBench()
    receiver.append([5])
    receiver.finish()
    let descriptor = try #require(sender.journal.newestSnapshot).descriptor
    let read = sender.journal.snapshotBytes(of: descriptor, at: 0, byteCount: 500)
    receiver.disk.nextOperationFailure = .noSpace
    try receiver.journal.receive(try #require(read), at: 0, of: descriptor)
    receiver.disk.finish()
    let report = receiver.journal.poll()
    #expect(report.refusedSnapshot == descriptor)
    #expect(report.failure == nil)
    receiver.finish()
    try Self.transfer(from: sender.journal, to: receiver.journal, finish: receiver.finish)
    #expect(receiver.journal.newestSnapshot?.label == Self.label(2))
  }

  @Test func aLogThatContinuesAReceivedSnapshotStays() throws {
    let sender = try JournalBench()
    sender.append([Int](repeating: 20, count: 50))
    sender.finish()
    sender.journal.saveSnapshot(Self.label(40), from: Pieces(Self.pieces))
    sender.finish()
    let receiver = try JournalBench()
    receiver.append([Int](repeating: 20, count: 45))
    receiver.finish()
    try Self.transfer(from: sender.journal, to: receiver.journal, finish: receiver.finish)
    try receiver.reopen()
    #expect(receiver.recovered.base == Self.label(40).mark.position)
    #expect(receiver.recovered.entries == Array(receiver.latest.entries[40...]))
  }

  @Test func aDamagedSnapshotIsNotBelieved() throws {
    let bench = try JournalBench()
    bench.append([10, 10, 10])
    bench.finish()
    bench.journal.saveSnapshot(Self.label(2), from: Pieces(Self.pieces))
    bench.finish()
    let name = try #require(try bench.disk.list().first { $0.hasSuffix(".snapshot") })
    try bench.disk.flipBit(8 * 5000, of: name)
    try bench.reopen()
    #expect(bench.recovered.snapshot == nil)
    guard case .snapshotDamaged? = bench.recovered.findings.first else {
      Issue.record("no damage in \(bench.recovered.findings)")
      return
    }
  }

  @Test func bytesOfAnotherClusterAreRefused() throws {
    let sender = try JournalBench()
    sender.append([10])
    sender.finish()
    sender.journal.saveSnapshot(Self.label(1), from: Pieces(Self.pieces))
    sender.finish()
    let descriptor = try #require(sender.journal.newestSnapshot).descriptor
    let byteCount = Int(descriptor.byteCount)
    let read = sender.journal.snapshotBytes(of: descriptor, at: 0, byteCount: byteCount)
    let bytes = try #require(read)
    let stranger = JournalIdentity(cluster: ClusterID(1), node: NodeID(1))
    let (journal, _) = try Journal.open(on: SimulatedDisk(), as: stranger, settings: .tiny)
    #expect(throws: SnapshotRefusal.invalid(.invalid("cluster"))) {
      try journal.receive(bytes, at: 0, of: descriptor)
    }
  }
}
