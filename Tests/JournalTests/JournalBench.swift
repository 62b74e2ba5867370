import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire

/// A journal on a simulated disk, and a memory of what it was given and what it acknowledged.
final class JournalBench {
  static let identity = JournalIdentity(cluster: ClusterID(77), node: NodeID(3))

  var disk: SimulatedDisk
  var journal: Journal
  var recovered: Recovered
  let settings: JournalSettings

  /// The log as it should be after each ticket, with the vote.
  struct Expectation: Equatable {
    var hardState = HardState()
    var entries: [Entry] = []
  }

  private(set) var expected: [Expectation] = [Expectation()]
  private(set) var acknowledged: UInt64 = 0
  var latest: Expectation { expected[expected.count - 1] }

  init(settings: JournalSettings = .tiny, disk: SimulatedDisk = SimulatedDisk()) throws {
    self.disk = disk
    self.settings = settings
    (journal, recovered) = try Journal.open(on: disk, as: Self.identity, settings: settings)
  }

  /// Appends entries of the current term, and hands the ticket over without waiting.
  func append(_ byteCounts: [Int], truncateFrom: UInt64? = nil, hardState: HardState? = nil) {
    var next = latest
    if let hardState { next.hardState = hardState }
    if let truncateFrom { next.entries.removeAll { $0.index.rawValue >= truncateFrom } }
    let first = UInt64(next.entries.count) + 1
    let term = Term(max(1, next.hardState.term.rawValue))
    let entries = byteCounts.enumerated().map { offset, byteCount in
      Self.entry(first + UInt64(offset), term: term, byteCount: byteCount)
    }
    next.entries += entries
    expected.append(next)
    journal.append(
      ticket: UInt64(expected.count) - 1,
      hardState: hardState,
      truncateFrom: truncateFrom.map { LogIndex($0) },
      entries: entries
    )
  }

  static func entry(_ index: UInt64, term: Term = Term(1), byteCount: Int) -> Entry {
    var random = SplitMix64(seed: index ^ term.rawValue << 32)
    return Entry(
      term: term,
      index: LogIndex(index),
      time: ClusterTime(index * 1000),
      kind: .requests,
      payload: (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    )
  }

  /// Performs what is under way until nothing is.
  func finish() {
    repeat {
      disk.finish()
      note(journal.poll())
    } while !journal.isIdle || !disk.pending.isEmpty
  }

  func poll() { note(journal.poll()) }

  private func note(_ report: JournalReport) {
    if let durable = report.durable { acknowledged = max(acknowledged, durable) }
  }

  /// Opens what is on the disk.
  func reopen() throws {
    (journal, recovered) = try Journal.open(on: disk, as: Self.identity, settings: settings)
  }

  var opened: Expectation {
    Expectation(hardState: recovered.hardState, entries: recovered.entries)
  }
}
