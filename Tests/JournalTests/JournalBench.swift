import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// A journal on a simulated disk, and a memory of what it was given and what it acknowledged.
final class JournalBench {
  static let identity = JournalIdentity(cluster: ClusterID(77), node: NodeID(3))

  var disk: SimulatedDisk
  var journal: Journal
  var recovered: Recovered
  let settings: JournalSettings

  /// What a node has: its vote, and its log from the first entry on.
  struct State: Equatable {
    var hardState = HardState()
    var entries: [Entry] = []

    var last: LogPosition { entries.last?.position ?? .start }
  }

  /// The state after each single change, in order; a crash leaves one of them.
  private(set) var states: [State] = [State()]
  /// How many of ``states`` there were when a ticket was complete.
  private var ends: [UInt64: Int] = [0: 0]
  private var ticket: UInt64 = 0
  private(set) var acknowledged: UInt64 = 0
  /// The place up to which a snapshot holds the log.
  var snapshotIndex: UInt64 = 0

  var latest: State { states[states.count - 1] }
  func state(after ticket: UInt64) -> State { states[ends[ticket] ?? 0] }

  init(settings: JournalSettings = .tiny, disk: SimulatedDisk = SimulatedDisk()) throws {
    self.disk = disk
    self.settings = settings
    (journal, recovered) = try Journal.open(on: disk, as: Self.identity, settings: settings)
  }

  /// Appends entries of the current term, and hands the ticket over without waiting.
  func append(_ byteCounts: [Int], truncateFrom: UInt64? = nil, hardState: HardState? = nil) {
    var state = latest
    if let hardState {
      state.hardState = hardState
      states.append(state)
    }
    if let truncateFrom {
      state.entries.removeAll { $0.index.rawValue >= truncateFrom }
      states.append(state)
    }
    let first = UInt64(state.entries.count) + 1
    let term = max(Term(1), state.hardState.term)
    let entries = byteCounts.enumerated().map { offset, byteCount in
      Self.entry(first + UInt64(offset), term: term, byteCount: byteCount)
    }
    for entry in entries {
      state.entries.append(entry)
      states.append(state)
    }
    ticket += 1
    ends[ticket] = states.count - 1
    journal.append(
      ticket: ticket,
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
      poll()
    } while !journal.isIdle || !disk.pending.isEmpty
  }

  func poll() {
    if let durable = journal.poll().durable { acknowledged = max(acknowledged, durable) }
  }

  /// Opens what is on the disk.
  func reopen() throws {
    (journal, recovered) = try Journal.open(on: disk, as: Self.identity, settings: settings)
  }

  var opened: State {
    State(hardState: recovered.hardState, entries: recovered.entries)
  }

  /// Says why what was recovered is not what a crash may leave; nil if all is well.
  ///
  /// It must be the state after some change, and none before the last that was acknowledged.
  func objection(to recovered: Recovered) -> String? {
    guard recovered.promised == nil else {
      return "a crash is taken for damage: \(recovered.findings)"
    }
    let base = Int(recovered.base.index.rawValue)
    let matches = states[(ends[acknowledged] ?? 0)...].contains { state in
      guard state.hardState == recovered.hardState, state.entries.count >= base else {
        return false
      }
      return Array(state.entries[base...]) == recovered.entries
    }
    return matches
      ? nil
      : """
      entries after \(base) to \(recovered.entries.last?.index.rawValue ?? 0), \
      \(recovered.hardState), although ticket \(acknowledged) was acknowledged
      """
  }

  /// The journal goes on from what was recovered, as a node would.
  func adopt() {
    var state = State(hardState: recovered.hardState, entries: recovered.entries)
    let base = Int(recovered.base.index.rawValue)
    if base > 0 {
      let known = states.last { $0.entries.count >= base } ?? State()
      state.entries = Array(known.entries[..<base]) + recovered.entries
    }
    states = [state]
    ticket = 0
    acknowledged = 0
    ends = [0: 0]
  }
}
