import Foundation
import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// Whatever instant power fails at, and whatever the disk makes of what was not synced, the log that comes
/// back is one that was there once, and holds all that was acknowledged.
@Suite struct CrashLawTests {
  /// Calls `body` with a disk for each way in which a crash can leave this one: every subset of the
  /// unsynced changes if they are few, and a sample otherwise.
  static func everyCrash(
    of disk: SimulatedDisk,
    random: inout SplitMix64,
    limit: Int = 6,
    _ body: (SimulatedDisk) throws -> Void
  ) throws {
    let choices = disk.crashChoices
    if choices <= limit {
      for subset in 0..<(1 << choices) {
        let copy = disk.copy()
        var bit = 0
        copy.crash {
          defer { bit += 1 }
          return subset >> bit & 1 == 1
        }
        try body(copy)
      }
      return
    }
    for sample in 0..<8 {
      let copy = disk.copy()
      let numerator = sample == 0 ? 0 : sample == 1 ? 1 : random.below(8) + 1
      let denominator = sample == 1 ? 1 : UInt64(9)
      copy.crash { random.chance(numerator, in: denominator) }
      try body(copy)
    }
  }

  static func check(_ disk: SimulatedDisk, _ bench: JournalBench) throws {
    let (_, recovered) = try Journal.open(
      on: disk,
      as: JournalBench.identity,
      settings: bench.settings
    )
    if let objection = bench.objection(to: recovered) { Issue.record("\(objection)") }
    // A second crash, right after: what was recovered stays.
    disk.crash { false }
    let (_, again) = try Journal.open(
      on: disk,
      as: JournalBench.identity,
      settings: bench.settings
    )
    #expect(again.entries == recovered.entries && again.hardState == recovered.hardState)
  }

  static let variants: [JournalSettings] = [
    .tiny,
    JournalSettings(
      segmentByteCount: 16384,
      unit: 512,
      inFlightLimit: 3,
      groupByteLimit: 900,
      payloadLimit: 1500
    ),
    JournalSettings(
      segmentByteCount: 20480,
      unit: 4096,
      inFlightLimit: 2,
      groupByteLimit: 3000,
      payloadLimit: 1500
    ),
  ]

  @Test(arguments: variants)
  func everyCrashPointKeepsWhatWasAcknowledged(settings: JournalSettings) throws {
    var random = SplitMix64(seed: 42)
    let bench = try JournalBench(settings: settings)
    var crashes = 0
    for round in 0..<14 {
      let term = HardState(term: Term(UInt64(round) / 3 + 1), vote: NodeID(UInt64(round % 4)))
      switch round % 4 {
      case 0: bench.append([200, 30], hardState: term)
      case 1: bench.append([1400])
      case 2: bench.append([600, 600], truncateFrom: UInt64(bench.latest.entries.count))
      default: bench.append([], hardState: term)
      }
      if round % 3 == 1 { continue }
      while let job = bench.disk.pending.randomChoice(&random) {
        try Self.everyCrash(of: bench.disk, random: &random) { disk in
          crashes += 1
          try Self.check(disk, bench)
        }
        bench.disk.step(job)
        bench.poll()
      }
    }
    #expect(crashes > 100, "\(crashes)")
  }

  @Test func aCrashInTheFirstStartIsStartedOver() throws {
    var random = SplitMix64(seed: 7)
    var crashes = 0
    for operation in 0..<12 {
      let disk = SimulatedDisk()
      disk.nextOperationFailure = .failed
      disk.operationsBeforeFailure = operation
      let opened = try? Journal.open(
        on: disk,
        as: JournalBench.identity,
        settings: .tiny
      )
      guard opened == nil else { break }
      try Self.everyCrash(of: disk, random: &random, limit: 8) { disk in
        crashes += 1
        let (_, recovered) = try Journal.open(
          on: disk,
          as: JournalBench.identity,
          settings: .tiny
        )
        #expect(recovered.entries.isEmpty && recovered.findings.isEmpty)
      }
    }
    #expect(crashes > 20, "\(crashes)")
  }

  @Test func aCrashInTheRepairOfACrashLosesNothing() throws {
    var random = SplitMix64(seed: 9)
    let bench = try JournalBench()
    for _ in 0..<12 {
      bench.append([900])
      bench.finish()
    }
    bench.append([1400, 1400])
    bench.disk.crash { random.chance(1, in: 2) }
    for operation in 0..<12 {
      let disk = bench.disk.copy()
      disk.nextOperationFailure = .failed
      disk.operationsBeforeFailure = operation
      let opened = try? Journal.open(
        on: disk,
        as: JournalBench.identity,
        settings: bench.settings
      )
      guard opened == nil else { break }
      try Self.everyCrash(of: disk, random: &random) { try Self.check($0, bench) }
    }
  }

  /// The seeds of the lives: 1 to 40, or what `ROOST_LIVES` says (`1-3000`).
  static var seeds: ClosedRange<UInt64> {
    let words = (ProcessInfo.processInfo.environment["ROOST_LIVES"] ?? "1-40").split(separator: "-")
    guard let first = words.first.flatMap({ UInt64($0) }),
      let last = words.last.flatMap({ UInt64($0) }), first <= last
    else { return 1...40 }
    return first...last
  }

  /// How long a life is: `ROOST_ROUNDS` times as long as usual.
  static var length: Int {
    ProcessInfo.processInfo.environment["ROOST_ROUNDS"].flatMap { Int($0) } ?? 1
  }

  /// A long life: appends, truncations, snapshots, crashes, full disks, kills, all drawn from a seed.
  @Test(arguments: seeds)
  func aLifeOfCrashesLosesNothing(seed: UInt64) throws {
    var life = try JournalLife(seed: seed)
    try life.run(rounds: 60 * Self.length)
    for objection in life.objections { Issue.record("\(objection)") }
  }

  /// The same with small entries: segments are packed all the time.
  @Test(arguments: seeds)
  func aLifeOfSmallEntriesLosesNothing(seed: UInt64) throws {
    var life = try JournalLife(seed: seed, entryLimit: 60)
    try life.run(rounds: 150 * Self.length)
    for objection in life.objections { Issue.record("\(objection)") }
  }
}

extension Array {
  func randomChoice(_ random: inout SplitMix64) -> Element? {
    isEmpty ? nil : self[Int(random.below(UInt64(count)))]
  }
}

/// A journal that lives through whatever its seed draws.
struct JournalLife {
  private var random: SplitMix64
  private let bench: JournalBench
  private let settings: JournalSettings
  /// All entries are shorter.
  private let entryLimit: UInt64
  private(set) var objections: [String] = []
  /// Who sends a snapshot.
  private var peer: Journal?

  /// What is in every snapshot.
  static let content = (0..<8000).map { UInt8(truncatingIfNeeded: $0 * 7 >> 3) }

  init(seed: UInt64, entryLimit: UInt64 = 1500, flaw: JournalFlaw? = nil) throws {
    self.entryLimit = entryLimit
    random = SplitMix64(seed: seed)
    let variant = CrashLawTests.variants[Int(seed) % CrashLawTests.variants.count]
    var settings = flaw.map { variant.planted($0) } ?? variant
    settings.snapshotChunkByteCount = 100
    self.settings = settings
    bench = try JournalBench(settings: settings, disk: SimulatedDisk(random: random.split()))
  }

  mutating func run(rounds: Int) throws {
    for _ in 0..<rounds {
      try live()
      let steps = random.below(6)
      for _ in 0..<steps {
        guard let job = bench.disk.pending.randomChoice(&random) else { break }
        bench.disk.step(job)
        if random.chance(3, in: 4) { bench.poll() }
      }
      if random.chance(1, in: 6) { try die() }
    }
    bench.disk.capacity = nil
    bench.journal.retry()
    bench.finish()
    try die()
  }

  private mutating func live() throws {
    let count = UInt64(bench.latest.entries.count)
    switch random.below(12) {
    case 0:
      let term = bench.latest.hardState.term.rawValue + random.below(2)
      bench.append(
        [],
        hardState: HardState(term: Term(max(1, term)), vote: NodeID(random.below(4)))
      )
    case 1 where count > bench.snapshotIndex:
      let from = random.draw(from: bench.snapshotIndex + 1...count)
      let term = Term(bench.latest.hardState.term.rawValue + 1)
      bench.append([Int(random.below(900))], truncateFrom: from, hardState: HardState(term: term))
    case 2 where !bench.journal.isSavingSnapshot:
      saveSnapshot()
    case 4, 5: try receiveSnapshot()
    case 3:
      bench.disk.capacity = random.chance(1, in: 2) ? 90_000 : nil
      bench.journal.retry()
    default:
      bench.append((0..<random.below(4)).map { _ in Int(random.below(entryLimit)) })
    }
  }

  /// Where the next snapshot ends: only in what is durable, for the state machine has applied what is committed.
  private mutating func drawSnapshotLabel() -> SnapshotLabel? {
    let durable = bench.state(after: bench.acknowledged)
    guard durable.entries.count > Int(bench.snapshotIndex),
      bench.latest.entries.starts(with: durable.entries)
    else { return nil }
    let index = random.draw(from: bench.snapshotIndex + 1...UInt64(durable.entries.count))
    bench.snapshotIndex = index
    return SnapshotTests.label(index, term: durable.entries[Int(index) - 1].term.rawValue)
  }

  private mutating func saveSnapshot() {
    guard let label = drawSnapshotLabel() else { return }
    bench.journal.saveSnapshot(label, from: SnapshotTests.Pieces([Self.content]))
  }

  /// Some bytes of a snapshot from another node: the rest of what is here in part, or the beginning of one of what is durable.
  private mutating func receiveSnapshot() throws {
    if peer == nil {
      guard let label = drawSnapshotLabel() else { return }
      peer = try Self.peer(label)
    }
    guard let peer, let descriptor = peer.newestSnapshot?.descriptor else { return }
    let start = bench.journal.isReceiving(descriptor) ? bench.journal.receivingByteCount : 0
    let count = Int(random.below(3000))
    let bytes = peer.snapshotBytes(of: descriptor, at: start, byteCount: count) ?? []
    guard !bytes.isEmpty else { return }
    do throws(SnapshotRefusal) {
      try bench.journal.receive(bytes, at: start, of: descriptor)
    } catch .old {
      self.peer = nil
    } catch {
      objections.append("\(error)")
    }
  }

  /// A journal of another node with a snapshot.
  private static func peer(_ label: SnapshotLabel) throws -> Journal {
    let identity = JournalIdentity(cluster: JournalBench.identity.cluster, node: NodeID(9))
    var settings = JournalSettings.tiny
    settings.snapshotChunkByteCount = 100
    let disk = SimulatedDisk()
    let (journal, _) = try Journal.open(on: disk, as: identity, settings: settings)
    journal.saveSnapshot(label, from: SnapshotTests.Pieces([content]))
    disk.finish()
    _ = journal.poll()
    return journal
  }

  private mutating func die() throws {
    if random.chance(1, in: 3) { bench.disk.kill() } else { bench.disk.crash() }
    bench.disk.capacity = nil
    try bench.reopen()
    if let objection = bench.objection(to: bench.recovered) { objections.append(objection) }
    let base = bench.recovered.base.index.rawValue
    if base > bench.snapshotIndex { objections.append("a snapshot that nobody made") }
    if base > 0, try SnapshotTests.read(bench.journal.readSnapshot()) != Self.content {
      objections.append("another snapshot than was written")
    }
    bench.snapshotIndex = base
    if let part = bench.recovered.incoming {
      if part.snapshot != peer?.newestSnapshot?.descriptor {
        objections.append("a part of a snapshot that nobody sends")
      }
      // It stays the newest that is known of the cluster: nothing before it is cut off.
      bench.snapshotIndex = part.snapshot.mark.index.rawValue
    } else {
      peer = nil
    }
    bench.adopt()
  }
}

extension CrashLawTests {
  /// A segment that a cut has voided says of itself that it starts early enough for a later snapshot; the entries
  /// that the snapshot needs lie before it all the same.
  @Test func aVoidSegmentIsNoPlaceToStartFrom() throws {
    let bench = try JournalBench(settings: Self.variants[1])
    for _ in 0..<15 {
      bench.append([880])
      bench.finish()
    }
    // Not acknowledged: the log cut back to 4, and groups of which one starts the next segment.
    bench.append([880, 880, 880, 880], truncateFrom: 5, hardState: HardState(term: Term(2)))
    bench.append([880, 880])
    while bench.disk.pending.count > 1 {
      bench.disk.step(bench.disk.pending[1])
    }
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.opened == bench.state(after: 15))
    bench.adopt()
    var voided = 0
    try JournalInspection(of: bench.disk).dump { if $0.contains("void:") { voided += 1 } }
    #expect(voided == 1)
    bench.journal.saveSnapshot(SnapshotTests.label(12), from: SnapshotTests.Pieces([[1, 2, 3]]))
    bench.finish()
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.recovered.base.index == LogIndex(12))
    #expect(bench.recovered.entries == Array(bench.latest.entries[12...]))
    #expect(bench.recovered.findings.isEmpty)
  }
}

extension CrashLawTests {
  @Test func aSegmentOfWhichOnlyTheHeaderLandedIsCut() throws {
    let bench = try JournalBench()
    for _ in 0..<8 {
      bench.append([880])
      bench.finish()
    }
    bench.append([1400])
    var sector = 0
    bench.disk.crash {
      sector += 1
      return sector == 1
    }
    try bench.reopen()
    #expect(bench.opened == bench.state(after: 8))
    bench.adopt()
    for _ in 0..<12 {
      bench.append([700], hardState: HardState(term: Term(2)))
      bench.finish()
    }
    bench.disk.crash { false }
    try bench.reopen()
    #expect(bench.opened == bench.latest)
    #expect(bench.recovered.findings.isEmpty)
  }
}
