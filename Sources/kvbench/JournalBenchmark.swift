import Glibc
import RoostJournal
import RoostNode
import RoostPlatform
import RoostRaft
import RoostWire

/// Records a second through the journal, beside a bare loop of write and fdatasync of the same bytes.
///
/// The bare loop rewrites a file of zeros that was synced before, in whole blocks, one after the other:
/// the best that write + fdatasync can do. Both write the same blocks.
struct JournalBenchmark {
  private let directory: String
  private let identity = JournalIdentity(cluster: ClusterID(1), node: NodeID(1))

  init(in directory: String) { self.directory = directory }

  func run() throws {
    print("one after the other; then with the next batches appended while one is under way")
    for (outstanding, inFlight) in [(1, 1), (4, 1), (4, 4)] {
      print("\nbatches appended ahead: \(outstanding - 1), writes under way: up to \(inFlight)")
      let table = Table([
        "record B", "a batch", "back end", "batches/s", "records/s", "us/batch", "cpu us",
        "bare/s", "bare cpu us", "% of bare", "cpu us/record above",
      ])
      for (byteCount, batch) in [
        (300, 1), (300, 10), (300, 100), (300, 1000), (16, 1000), (4096, 16),
      ] {
        for ring in [true, false] {
          let load = Load(
            byteCount: byteCount,
            batch: batch,
            rounds: batch * byteCount > 100_000 ? 1500 : 4000,
            outstanding: outstanding
          )
          try measure(load, ring: ring, inFlight: inFlight, into: table)
        }
      }
    }
  }

  private struct Load {
    var byteCount: Int
    var batch: Int
    var rounds: Int
    var outstanding: Int

    /// The blocks that a batch takes up in a segment.
    var blocks: Int {
      let records = batch * (byteCount + Entry.overhead + 5)
      return (records + 600 + records / 63 + 4095) / 4096
    }
  }

  private func measure(_ load: Load, ring: Bool, inFlight: Int, into table: Table) throws {
    let bare = try bare(load.blocks, rounds: load.rounds)
    let own = try journal(load, ring: ring, inFlight: inFlight)
    let above = (own.processor - bare.processor) * 1e6 / Double(load.batch)
    table.row([
      "\(load.byteCount)", "\(load.batch)", ring ? "ring" : "thread", (1 / own.wall).digits(0),
      (Double(load.batch) / own.wall).digits(0), (own.wall * 1e6).digits(1),
      (own.processor * 1e6).digits(1), (1 / bare.wall).digits(0),
      (bare.processor * 1e6).digits(1), (bare.wall / own.wall * 100).digits(0), above.digits(3),
    ])
  }

  private struct Result {
    /// Seconds a batch.
    var wall: Double
    var processor: Double
  }

  private func bare(_ blocks: Int, rounds: Int) throws -> Result {
    let name = "bare.bench"
    let files = try Directory(at: directory)
    defer { try? files.remove(name) }
    let byteCount = blocks * 4096
    let space = max(byteCount, 64 << 20) / byteCount * byteCount
    let file = try files.open(name, for: .creating)
    let zeros = [UInt8](repeating: 0, count: byteCount)
    for offset in stride(from: 0, to: space, by: byteCount) { try file.write(zeros, at: offset) }
    try file.sync()
    let bytes = [UInt8](repeating: 7, count: byteCount)
    let meter = Meter()
    for round in 0..<rounds {
      try file.write(bytes, at: round * byteCount % space)
      try file.sync()
    }
    return Result(
      wall: meter.wallSeconds / Double(rounds),
      processor: meter.processorSeconds / Double(rounds)
    )
  }

  private func journal(_ load: Load, ring: Bool, inFlight: Int) throws -> Result {
    let path = directory + "/journal.bench"
    defer { try? Self.remove(path) }
    let disk = try FileDisk(at: path, ring: ring)
    let settings = JournalSettings(inFlightLimit: inFlight)
    let (journal, _) = try Journal.open(on: disk, as: identity, settings: settings)
    let payload = [UInt8](repeating: 7, count: load.byteCount)
    // The first spare segment.
    _ = try Self.next(journal, disk)
    var index: UInt64 = 0
    var durable: UInt64 = 0
    let meter = Meter()
    for ticket in 1...UInt64(load.rounds) {
      var entries: [Entry] = []
      entries.reserveCapacity(load.batch)
      for _ in 0..<load.batch {
        index += 1
        entries.append(Self.entry(index, payload))
      }
      journal.append(ticket: ticket, entries: entries)
      while ticket - durable >= UInt64(load.outstanding) {
        durable = try Self.next(journal, disk) ?? durable
      }
    }
    while durable < UInt64(load.rounds) { durable = try Self.next(journal, disk) ?? durable }
    return Result(
      wall: meter.wallSeconds / Double(load.rounds),
      processor: meter.processorSeconds / Double(load.rounds)
    )
  }

  static func entry(_ index: UInt64, _ payload: [UInt8]) -> Entry {
    Entry(
      term: Term(1),
      index: LogIndex(index),
      time: ClusterTime(index),
      kind: .requests,
      payload: payload
    )
  }

  /// Waits until the disk has something to tell, and answers what is durable now, if that changed.
  static func next(_ journal: Journal, _ disk: FileDisk) throws -> UInt64? {
    var place = pollfd(fd: disk.notificationDescriptor, events: Int16(POLLIN), revents: 0)
    // SAFETY: one place is given and counted.
    _ = unsafe poll(&place, 1, -1)
    let report = journal.poll()
    if let failure = report.failure { throw failure }
    return report.durable
  }

  /// Removes a directory and its files.
  static func remove(_ path: String) throws {
    let files = try Directory(at: path)
    for name in try files.names() { try files.remove(name) }
    _ = unsafe rmdir(path)
  }
}
