import Glibc
import RoostJournal
import RoostNode
import RoostRaft
import RoostWire

/// How long it takes to open a log of a million entries of 300 bytes, written in several ways.
struct RestartBenchmark {
  private let directory: String
  private let identity = JournalIdentity(cluster: ClusterID(1), node: NodeID(1))
  private let count: UInt64 = 1_000_000

  init(in directory: String) { self.directory = directory }

  func run() throws {
    let table = Table(["entries", "a write", "unit", "log MB", "open s", "cpu s", "again s"])
    for (batch, unit) in [(1000, 4096), (64, 4096), (8, 4096), (1, 4096)] {
      let path = directory + "/restart.bench"
      defer { try? JournalBenchmark.remove(path) }
      let byteCount = try write(batch, unit: unit, to: path)
      var times: [Double] = []
      var processor = 0.0
      for _ in 0..<2 {
        try dropCaches(path)
        let meter = Meter()
        let disk = try FileDisk(at: path)
        let (_, recovered) = try Journal.open(on: disk, as: identity, settings: settings(unit))
        times.append(meter.wallSeconds)
        processor = meter.processorSeconds
        precondition(recovered.entries.count == Int(count), "all entries are there")
      }
      table.row([
        "\(count)", "\(batch)", "\(unit)", "\(byteCount >> 20)", times[0].digits(2),
        processor.digits(2), times[1].digits(2),
      ])
    }
  }

  private func settings(_ unit: Int) -> JournalSettings { JournalSettings(unit: unit) }

  private func write(_ batch: Int, unit: Int, to path: String) throws -> Int {
    let disk = try FileDisk(at: path)
    var settings = settings(unit)
    settings.inFlightLimit = 32
    let (journal, _) = try Journal.open(on: disk, as: identity, settings: settings)
    let payload = [UInt8](repeating: 7, count: 300)
    var ticket: UInt64 = 0
    var durable: UInt64 = 0
    for first in stride(from: 1, through: count, by: batch) {
      let entries = (first..<min(count + 1, first + UInt64(batch))).map { index in
        JournalBenchmark.entry(index, payload)
      }
      ticket += 1
      journal.append(ticket: ticket, entries: entries)
      while ticket - durable >= 32 { durable = try JournalBenchmark.next(journal, disk) ?? durable }
    }
    while durable < ticket { durable = try JournalBenchmark.next(journal, disk) ?? durable }
    var byteCount = 0
    for name in try disk.list() where name.hasSuffix(".log") {
      byteCount += try disk.byteCount(of: name)
    }
    return byteCount
  }

  /// Makes the next reads ask the disk.
  private func dropCaches(_ path: String) throws {
    let disk = try FileDisk(at: path)
    for name in try disk.list() where name.hasSuffix(".log") {
      // SAFETY: the name is terminated and lives through the call.
      let descriptor = unsafe open(path + "/" + name, O_RDONLY)
      guard descriptor >= 0 else { continue }
      _ = posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
      close(descriptor)
    }
  }
}
