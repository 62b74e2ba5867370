import Foundation
import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// Directories of every format that was ever released stay readable.
///
/// After an intended change of the format, which needs a new version and a new directory beside the old one, run
/// `ROOST_WRITE_FIXTURES=1 swift test --filter GoldenTests`: what is recorded already stays as it is.
@Suite struct GoldenTests {
  private static let fixtures = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "Fixtures")

  /// A life that leaves a snapshot, a full segment, a truncation, a cut tail and a vote.
  private static func makeJournal() throws -> JournalBench {
    let bench = try JournalBench()
    bench.append([100, 200], hardState: HardState(term: Term(1), vote: NodeID(3)))
    bench.finish()
    bench.append([1500, 1500, 1500])
    bench.finish()
    bench.append([1400, 1400], truncateFrom: 5, hardState: HardState(term: Term(2)))
    bench.finish()
    bench.journal.saveSnapshot(SnapshotTests.label(2), from: SnapshotTests.Pieces([[1, 2, 3]]))
    bench.finish()
    bench.append([700])
    bench.disk.step(bench.disk.pending[0])
    bench.disk.crash { true }
    try bench.reopen()
    bench.adopt()
    bench.append([1300, 1300])
    var sector = 0
    bench.disk.crash {
      sector += 1
      return sector == 2
    }
    try bench.reopen()
    bench.adopt()
    bench.append(
      [1000, 1000, 1000, 1000, 1000],
      hardState: HardState(term: Term(4), vote: NodeID(8))
    )
    bench.finish()
    return bench
  }

  @Test func format1StaysReadable() throws {
    let disk = try Self.golden("v1", from: Self.makeJournal)
    let (journal, recovered) = try Journal.open(
      on: disk,
      as: JournalBench.identity,
      settings: .tiny
    )
    #expect(recovered.hardState == HardState(term: Term(4), vote: NodeID(8)))
    #expect(recovered.base.index == LogIndex(2))
    #expect(try SnapshotTests.read(journal.readSnapshot()) == [1, 2, 3])
    Self.checkEntries(of: recovered)
  }

  @Test func packedSegmentsStayReadable() throws {
    let disk = try Self.golden("packed") { try DamageLawTests.packedJournal() }
    let (_, recovered) = try Journal.open(on: disk, as: JournalBench.identity, settings: .tiny)
    #expect(recovered.hardState == HardState(term: Term(5), vote: NodeID(2)))
    #expect(recovered.entries.count == 36)
    Self.checkEntries(of: recovered)
  }

  private static func checkEntries(of recovered: Recovered) {
    for entry in recovered.entries {
      let again = JournalBench.entry(
        entry.index.rawValue,
        term: entry.term,
        byteCount: entry.payload.count
      )
      #expect(entry == again)
    }
  }

  /// The recorded directory of a name, after a look at it said what it said when it was recorded.
  private static func golden(
    _ name: String,
    from make: () throws -> JournalBench
  ) throws -> SimulatedDisk {
    let directory = fixtures.appending(path: name)
    let text = fixtures.appending(path: name + ".txt")
    if ProcessInfo.processInfo.environment["ROOST_WRITE_FIXTURES"] != nil,
      !FileManager.default.fileExists(atPath: directory.path)
    {
      let disk = try make().disk
      try write(disk, to: directory)
      try (try inspect(disk).1.joined(separator: "\n") + "\n")
        .write(to: text, atomically: true, encoding: .utf8)
    }
    let disk = SimulatedDisk()
    for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
      let bytes = [UInt8](try Data(contentsOf: directory.appending(path: name)))
      try disk.tamper(.write(name, offset: 0, bytes: bytes))
    }
    let (verdict, lines) = try inspect(disk)
    #expect(verdict == .sound)
    #expect(lines.joined(separator: "\n") + "\n" == (try String(contentsOf: text, encoding: .utf8)))
    return disk
  }

  private static func write(_ disk: SimulatedDisk, to directory: URL) throws {
    try? FileManager.default.removeItem(at: directory)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    for name in try disk.list() {
      let bytes = try disk.read(name, at: 0, byteCount: 1 << 20)
      try Data(bytes).write(to: directory.appending(path: name))
    }
  }

  private static func inspect(
    _ disk: SimulatedDisk
  ) throws -> (JournalInspection.Verdict, [String]) {
    let inspection = try JournalInspection(of: disk)
    var lines: [String] = []
    try inspection.dump { lines.append($0) }
    return (try inspection.check().verdict, lines)
  }
}
