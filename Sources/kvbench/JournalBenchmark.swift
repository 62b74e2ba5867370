import Glibc
import RoostJournal
import RoostNode
import RoostPlatform
import RoostRaft
import RoostWire

/// Records a second through the journal, beside a bare loop of write and fdatasync of the same bytes.
///
/// The bare loop rewrites a file of zeros that was synced before, in whole blocks, one after the other:
/// the best that write + fdatasync can do. Both write the same blocks, in slices that take turns, and
/// the medians of the slices are compared: a disk that others use too changes from second to second.
struct JournalBenchmark {
  private let directory: String
  private let shapes: [Shape]
  private let identity = JournalIdentity(cluster: ClusterID(1), node: NodeID(1))

  /// How long records are, and how many are appended at once.
  struct Shape: Equatable {
    var byteCount: Int
    var batch: Int

    static let all = [
      Shape(byteCount: 300, batch: 1), Shape(byteCount: 300, batch: 10),
      Shape(byteCount: 300, batch: 100), Shape(byteCount: 300, batch: 1000),
      Shape(byteCount: 16, batch: 1000), Shape(byteCount: 4096, batch: 16),
    ]

    init(byteCount: Int, batch: Int) {
      self.byteCount = byteCount
      self.batch = batch
    }

    /// As in `1000x300`: a thousand records of 300 bytes.
    init?(_ text: String) {
      let parts = text.split(separator: "x").compactMap { Int($0) }
      guard parts.count == 2, parts[0] > 0, parts[1] > 0 else { return nil }
      self.init(byteCount: parts[1], batch: parts[0])
    }
  }

  /// Measures in a directory some shapes, or all if none are named.
  init(in directory: String, shapes: [Shape] = []) {
    self.directory = directory
    self.shapes = shapes.isEmpty ? Shape.all : shapes
  }

  func run() throws {
    let table = Table([
      "a batch", "record B", "back end", "ahead", "at once", "batches/s", "records/s", "us/batch",
      "cpu us", "bare/s", "bare cpu us", "% of bare", "cpu us/record above",
    ])
    for shape in shapes {
      for ring in [true, false] {
        for (ahead, inFlight) in [(0, nil), (3, 1), (3, 2), (3, 4)] as [(Int, Int?)] {
          let load = Load(shape: shape, ahead: ahead, ring: ring, inFlight: inFlight)
          try measure(load, into: table)
        }
      }
    }
  }

  private struct Load {
    static let slices = 9

    var shape: Shape
    /// How many more batches are appended while one is under way.
    var ahead: Int
    var ring: Bool
    var inFlight: Int?

    /// Batches of one slice.
    var rounds: Int { shape.batch * shape.byteCount > 100_000 ? 100 : 300 }

    /// The blocks that a batch takes up in a segment.
    var blocks: Int {
      let records = shape.batch * (shape.byteCount + Entry.overhead + 5)
      return (records + 600 + records / 63 + 4095) / 4096
    }
  }

  private func measure(_ load: Load, into table: Table) throws {
    let path = directory + "/journal.bench"
    defer {
      try? Self.remove(path)
      try? Directory(at: directory).remove(BareLoop.name)
    }
    let bare = try BareLoop(in: directory, blocks: load.blocks)
    let own = try JournalLoop(at: path, as: identity, ring: load.ring, inFlight: load.inFlight)
    var results: [(bare: Result, own: Result)] = []
    for _ in 0..<Load.slices {
      let first = try Result(of: load.rounds) { try bare.run(rounds: load.rounds) }
      let batches = own.batches(load.shape, rounds: load.rounds)
      let second = try Result(of: load.rounds) { try own.run(batches, ahead: load.ahead) }
      results.append((first, second))
    }
    let (limit, mine) = (Result.median(results.map(\.bare)), Result.median(results.map(\.own)))
    let above = (mine.processor - limit.processor) * 1e6 / Double(load.shape.batch)
    table.row([
      "\(load.shape.batch)", "\(load.shape.byteCount)", load.ring ? "ring" : "thread",
      "\(load.ahead)", "\(load.inFlight ?? own.writesAtOnce)", (1 / mine.wall).digits(0),
      (Double(load.shape.batch) / mine.wall).digits(0), (mine.wall * 1e6).digits(1),
      (mine.processor * 1e6).digits(1), (1 / limit.wall).digits(0),
      (limit.processor * 1e6).digits(1), (limit.wall / mine.wall * 100).digits(0),
      above.digits(3),
    ])
  }

  private struct Result {
    /// Seconds a batch.
    var wall: Double
    var processor: Double

    init(wall: Double, processor: Double) {
      self.wall = wall
      self.processor = processor
    }

    init(of rounds: Int, _ body: () throws -> Void) rethrows {
      let meter = Meter()
      try body()
      wall = meter.wallSeconds / Double(rounds)
      processor = meter.processorSeconds / Double(rounds)
    }

    static func median(_ results: [Result]) -> Result {
      let middle = results.count / 2
      return Result(
        wall: results.map(\.wall).sorted()[middle],
        processor: results.map(\.processor).sorted()[middle]
      )
    }
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
    disk.clearNotification()
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

/// Write and fdatasync of the same blocks, and nothing else.
private final class BareLoop {
  static let name = "bare.bench"

  private let file: File
  private let bytes: [UInt8]
  private let space: Int
  private var offset = 0

  init(in directory: String, blocks: Int) throws {
    let byteCount = blocks * 4096
    space = max(byteCount, 64 << 20) / byteCount * byteCount
    file = try Directory(at: directory).open(Self.name, for: .creating)
    let zeros = [UInt8](repeating: 0, count: byteCount)
    for offset in stride(from: 0, to: space, by: byteCount) { try file.write(zeros, at: offset) }
    try file.sync()
    bytes = [UInt8](repeating: 7, count: byteCount)
  }

  func run(rounds: Int) throws {
    for _ in 0..<rounds {
      try file.write(bytes, at: offset)
      try file.sync()
      offset = (offset + bytes.count) % space
    }
  }
}

/// A journal that is given batch after batch.
private final class JournalLoop {
  private let disk: FileDisk
  var writesAtOnce: Int { disk.writesAtOnce }
  private let journal: Journal
  private var index: UInt64 = 0
  private var ticket: UInt64 = 0
  private var durable: UInt64 = 0

  init(at path: String, as identity: JournalIdentity, ring: Bool, inFlight: Int?) throws {
    disk = try FileDisk(at: path, ring: ring)
    let settings = JournalSettings(inFlightLimit: inFlight)
    (journal, _) = try Journal.open(on: disk, as: identity, settings: settings)
    // The first spare segment.
    _ = try JournalBenchmark.next(journal, disk)
  }

  /// What will be appended: entries are made by whoever appends them, so that is not measured.
  func batches(_ shape: JournalBenchmark.Shape, rounds: Int) -> [[Entry]] {
    let payload = [UInt8](repeating: 7, count: shape.byteCount)
    return (0..<rounds).map { _ in
      (0..<shape.batch).map { _ in
        index += 1
        return JournalBenchmark.entry(index, payload)
      }
    }
  }

  func run(_ batches: [[Entry]], ahead: Int) throws {
    for entries in batches {
      ticket += 1
      journal.append(ticket: ticket, entries: entries)
      while ticket - durable > UInt64(ahead) {
        durable = try JournalBenchmark.next(journal, disk) ?? durable
      }
    }
    while durable < ticket { durable = try JournalBenchmark.next(journal, disk) ?? durable }
  }
}
