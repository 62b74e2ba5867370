import Foundation
import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// Directories of every format that was ever released stay readable.
///
/// After an intended change of the format, which needs a new version and a new directory beside the old one, run
/// `ROOST_WRITE_FIXTURES=1 swift test --filter GoldenTests`.
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
    let directory = Self.fixtures.appending(path: "v1")
    if ProcessInfo.processInfo.environment["ROOST_WRITE_FIXTURES"] != nil {
      try Self.write(try Self.makeJournal().disk, to: directory)
    }
    let disk = SimulatedDisk()
    for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
      let bytes = [UInt8](try Data(contentsOf: directory.appending(path: name)))
      try disk.tamper(.write(name, offset: 0, bytes: bytes))
    }
    let (verdict, lines) = try Self.inspect(disk)
    #expect(verdict == .sound)
    let expected = try String(
      contentsOf: Self.fixtures.appending(path: "v1.txt"),
      encoding: .utf8
    )
    #expect(lines.joined(separator: "\n") + "\n" == expected)
    let (journal, recovered) = try Journal.open(
      on: disk,
      as: JournalBench.identity,
      settings: .tiny
    )
    #expect(recovered.hardState == HardState(term: Term(4), vote: NodeID(8)))
    #expect(recovered.base.index == LogIndex(2))
    #expect(try SnapshotTests.read(journal.readSnapshot()) == [1, 2, 3])
    for entry in recovered.entries {
      let again = JournalBench.entry(
        entry.index.rawValue,
        term: entry.term,
        byteCount: entry.payload.count
      )
      #expect(entry == again)
    }
  }

  private static func write(_ disk: SimulatedDisk, to directory: URL) throws {
    try? FileManager.default.removeItem(at: directory)
    try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    for name in try disk.list() {
      let bytes = try disk.read(name, at: 0, byteCount: 1 << 20)
      try Data(bytes).write(to: directory.appending(path: name))
    }
    let (_, lines) = try inspect(disk)
    try (lines.joined(separator: "\n") + "\n")
      .write(to: fixtures.appending(path: "v1.txt"), atomically: true, encoding: .utf8)
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
