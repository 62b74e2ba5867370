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

  static func mark(_ index: UInt64, term: UInt64 = 1) -> SnapshotMark {
    SnapshotMark(
      place: LogPlace(term: Term(term), index: LogIndex(index)),
      time: ClusterTime(index),
      stateHash: index &* 77,
      metadata: [9, 9, UInt8(truncatingIfNeeded: index)]
    )
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
    bench.journal.saveSnapshot(Self.mark(25), from: Pieces(Self.pieces))
    bench.append([10])
    bench.finish()
    #expect(bench.journal.newestSnapshot == Self.mark(25))
    let logs = try bench.disk.list().filter { $0.hasSuffix(".log") }
    #expect(logs.count < 6, "\(logs)")
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.recovered.snapshot == Self.mark(25))
    #expect(bench.recovered.entries == Array(bench.latest.entries[25...]))
    #expect(bench.recovered.base == Self.mark(25).place)
    #expect(bench.recovered.findings.isEmpty)
    #expect(try Self.read(bench.journal.readSnapshot()) == Self.content)
    bench.append([10])
    bench.finish()
    try bench.reopen()
    #expect(bench.recovered.entries == Array(bench.latest.entries[25...]))
  }

  @Test func theOlderSnapshotServesUntilTheNewOneWasReadBack() throws {
    let bench = try JournalBench()
    bench.append([10, 10, 10, 10])
    bench.finish()
    bench.journal.saveSnapshot(Self.mark(2), from: Pieces(Self.pieces))
    bench.finish()
    bench.journal.saveSnapshot(Self.mark(4), from: Pieces(Self.pieces))
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
      #expect(recovered.snapshot == Self.mark(2) || recovered.snapshot == Self.mark(4))
      #expect(recovered.findings.isEmpty)
      #expect(recovered.base.index.rawValue + UInt64(recovered.entries.count) == 4)
      #expect(try Self.read(journal.readSnapshot()) == Self.content)
      crashes += 1
    }
    #expect(crashes > 5)
  }

  @Test func aSnapshotFromAnotherNodeStartsTheLogAnew() throws {
    let sender = try JournalBench()
    sender.append([Int](repeating: 20, count: 50))
    sender.finish()
    sender.journal.saveSnapshot(Self.mark(50), from: Pieces(Self.pieces))
    sender.finish()
    let receiver = try JournalBench()
    receiver.append([5, 5])
    receiver.finish()
    try Self.transfer(from: sender.journal, to: receiver.journal, finish: receiver.finish)
    #expect(receiver.journal.newestSnapshot == Self.mark(50))
    #expect(try Self.read(receiver.journal.readSnapshot()) == Self.content)
    receiver.journal.append(ticket: 9, entries: [JournalBench.entry(51, byteCount: 7)])
    receiver.finish()
    receiver.disk.crash { false }
    try receiver.reopen()
    #expect(receiver.recovered.base == Self.mark(50).place)
    #expect(receiver.recovered.entries == [JournalBench.entry(51, byteCount: 7)])
    #expect(receiver.recovered.findings.isEmpty)
  }

  static func transfer(
    from sender: Journal,
    to receiver: Journal,
    finish: () -> Void
  ) throws {
    let (mark, byteCount) = try #require(sender.beginSending())
    try receiver.beginReceiving(mark.place)
    var offset = 0
    while offset < byteCount {
      let bytes = try sender.snapshotBytes(of: mark, at: offset, byteCount: 70_000)
      #expect(throws: SnapshotRefusal.expects(offset: offset)) {
        try receiver.receive(bytes, at: offset + 1)
      }
      try receiver.receive(bytes, at: offset)
      offset += bytes.count
    }
    sender.endSending(mark)
    finish()
  }

  @Test func aLogThatContinuesAReceivedSnapshotStays() throws {
    let sender = try JournalBench()
    sender.append([Int](repeating: 20, count: 50))
    sender.finish()
    sender.journal.saveSnapshot(Self.mark(40), from: Pieces(Self.pieces))
    sender.finish()
    let receiver = try JournalBench()
    receiver.append([Int](repeating: 20, count: 45))
    receiver.finish()
    try Self.transfer(from: sender.journal, to: receiver.journal, finish: receiver.finish)
    try receiver.reopen()
    #expect(receiver.recovered.base == Self.mark(40).place)
    #expect(receiver.recovered.entries == Array(receiver.latest.entries[40...]))
  }

  @Test func aDamagedSnapshotIsNotBelieved() throws {
    let bench = try JournalBench()
    bench.append([10, 10, 10])
    bench.finish()
    bench.journal.saveSnapshot(Self.mark(2), from: Pieces(Self.pieces))
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
    sender.journal.saveSnapshot(Self.mark(1), from: Pieces(Self.pieces))
    sender.finish()
    let (mark, byteCount) = try #require(sender.journal.beginSending())
    let bytes = try sender.journal.snapshotBytes(of: mark, at: 0, byteCount: byteCount)
    let stranger = JournalIdentity(cluster: ClusterID(1), node: NodeID(1))
    let (journal, _) = try Journal.open(on: SimulatedDisk(), as: stranger, settings: .tiny)
    try journal.beginReceiving(mark.place)
    #expect(throws: SnapshotRefusal.invalid(.invalid("cluster"))) {
      try journal.receive(bytes, at: 0)
    }
  }
}
