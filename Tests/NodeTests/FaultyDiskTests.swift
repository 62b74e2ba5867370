import Foundation
import Glibc
import RoostJournal
import RoostNode
import RoostRaft
import RoostWire
import Testing

/// Real files whose disk fails when it is told to.
final class FaultyDisk: Disk {
  let files: FileDisk
  /// The log's writes that still succeed, and how the one after them fails.
  var writesBeforeFailure = Int.max
  var reason = DiskError.Reason.failed
  private var failed: [DiskCompletion] = []

  init(_ files: FileDisk) { self.files = files }

  var writesAtOnce: Int { files.writesAtOnce }

  func list() throws(DiskError) -> [String] { try files.list() }

  func byteCount(of name: String) throws(DiskError) -> Int { try files.byteCount(of: name) }

  func read(_ name: String, at offset: Int, byteCount: Int) throws(DiskError) -> [UInt8] {
    try files.read(name, at: offset, byteCount: byteCount)
  }

  func perform(_ operation: DiskOperation) throws(DiskError) { try files.perform(operation) }

  func submit(_ work: any DiskWork, number: UInt64) { files.submit(work, number: number) }

  func write(_ buffer: DiskBuffer, to name: String, at offset: Int, number: UInt64) {
    guard writesBeforeFailure > 0 else {
      let error = DiskError(operation: "write", file: name, reason: reason, code: 5)
      return failed.append(DiskCompletion(number: number, error: error))
    }
    writesBeforeFailure -= 1
    files.write(buffer, to: name, at: offset, number: number)
  }

  func takeCompletions() -> [DiskCompletion] {
    defer { failed.removeAll() }
    return files.takeCompletions() + failed
  }
}

@Suite struct FaultyDiskTests {
  /// Appends until the disk fails; answers what was acknowledged.
  private static func run(_ disk: FaultyDisk, failingAfter writes: Int) throws -> UInt64 {
    let (journal, recovered) = try Journal.open(
      on: disk,
      as: FileDiskTests.identity,
      settings: FileDiskTests.settings
    )
    disk.writesBeforeFailure = writes
    let base = UInt64(recovered.entries.count)
    var acknowledged = base
    var next = base + 1
    while true {
      journal.append(ticket: next, entries: [FileDiskTests.entry(next, byteCount: 700)])
      next += 1
      FileDiskTests.wait(for: disk.files, atMost: 20)
      let report = journal.poll()
      acknowledged = report.durable ?? acknowledged
      if report.failure != nil { return acknowledged }
      try #require(next - base < 10_000, "a failure is told")
    }
  }

  @Test(arguments: [true, false], [DiskError.Reason.failed, .noSpace])
  func aFailedWriteEndsItAndWhatWasAcknowledgedIsThere(
    ring: Bool,
    reason: DiskError.Reason
  ) throws {
    let scratch = try Scratch()
    for round in 0..<12 {
      let disk = FaultyDisk(try FileDisk(at: scratch.path, ring: ring))
      disk.reason = reason
      let acknowledged = try Self.run(disk, failingAfter: round * 3)
      let (_, recovered) = try Self.reopened(scratch.path, releasing: disk)
      #expect(recovered.entries.count >= Int(acknowledged))
      #expect(recovered.findings.isEmpty)
    }
  }

  /// Opens again once the disk before has let go of the directory.
  private static func reopened(
    _ path: String,
    releasing disk: consuming FaultyDisk
  ) throws -> (Journal, Recovered) {
    let copy = try Scratch()
    for name in try FileManager.default.contentsOfDirectory(atPath: path) where name != "lock" {
      try FileManager.default.copyItem(atPath: path + "/" + name, toPath: copy.path + "/" + name)
    }
    return try Journal.open(
      on: try FileDisk(at: copy.path, ring: false),
      as: FileDiskTests.identity,
      settings: FileDiskTests.settings
    )
  }

  /// A file system of 4 MiB, where this process may make one: it fills up, refuses, and goes on when there is
  /// space again.
  @Test func aSmallFileSystemFillsUpAndTheJournalGoesOn() throws {
    let scratch = try Scratch()
    guard Self.mountSmall(at: scratch.path) else {
      print("no file system may be mounted here")
      return
    }
    defer { _ = unsafe umount2(scratch.path, Int32(MNT_DETACH)) }
    let ballast = scratch.path + "/ballast"
    try Data(count: 2 << 20).write(to: URL(filePath: ballast))
    let disk = try FileDisk(at: scratch.path + "/data")
    let (journal, _) = try Journal.open(
      on: disk,
      as: FileDiskTests.identity,
      settings: FileDiskTests.settings
    )
    var ticket: UInt64 = 0
    func write() throws {
      ticket += 1
      journal.append(ticket: ticket, entries: [FileDiskTests.entry(ticket, byteCount: 9000)])
      try Self.wait(for: ticket, journal, disk)
    }
    // The write during which the disk is found to be full may have no room left: then it waits for space, and is not lost.
    while journal.admitsWrites {
      ticket += 1
      journal.append(ticket: ticket, entries: [FileDiskTests.entry(ticket, byteCount: 9000)])
      var isDurable = false
      while !isDurable, journal.admitsWrites {
        FileDiskTests.wait(for: disk)
        let report = journal.poll()
        try #require(report.failure == nil)
        isDurable = report.durable == ticket
      }
      try #require(ticket < 400, "a full disk is noticed")
    }
    try FileManager.default.removeItem(atPath: ballast)
    // As a node does: what was under way when the space came back may still be refused, so it is tried again and again.
    while !journal.admitsWrites {
      journal.retry()
      FileDiskTests.wait(for: disk)
      try #require(journal.poll().failure == nil)
    }
    for _ in 0..<60 { try write() }
  }

  private static func wait(for ticket: UInt64, _ journal: Journal, _ disk: FileDisk) throws {
    while true {
      FileDiskTests.wait(for: disk)
      let report = journal.poll()
      try #require(report.failure == nil)
      if report.durable == ticket { return }
    }
  }

  private static func mountSmall(at path: String) -> Bool {
    // SAFETY: all strings are terminated and live through the call.
    unsafe "size=4m".withCString { options in
      unsafe mount("tmpfs", path, "tmpfs", 0, options) == 0
    }
  }
}

/// Directories as a program for operators sees them.
@Suite struct DataDirectoryTests {
  @Test func aSoundATornAndADamagedDirectoryAreToldApart() throws {
    let scratch = try Scratch()
    do {
      let disk = try FileDisk(at: scratch.path, ring: false)
      let (journal, _) = try Journal.open(
        on: disk,
        as: FileDiskTests.identity,
        settings: FileDiskTests.settings
      )
      for ticket in UInt64(1)...3 {
        journal.append(ticket: ticket, entries: [FileDiskTests.entry(ticket, byteCount: 5000)])
        while journal.poll().durable != ticket { FileDiskTests.wait(for: disk) }
      }
      var lines: [String] = []
      #expect(DataDirectory(at: scratch.path).check { lines.append($0) } == .refused)
      #expect(lines.first?.contains("another process") == true)
      // The spare segment is complete before the directory is let go.
      while journal.poll().failure == nil, try !disk.list().contains("0000000000000002.log") {
        FileDiskTests.wait(for: disk, atMost: 100)
      }
    }
    var lines: [String] = []
    #expect(DataDirectory(at: scratch.path).check { lines.append($0) } == .sound)
    #expect(lines.contains("3 entries, the last is 3 of term 1"))
    let log = scratch.path + "/0000000000000001.log"
    let sound = try Data(contentsOf: URL(filePath: log))
    // A sector of the last group that never reached the disk.
    var torn = sound
    torn.replaceSubrange(4096 + 16384 + 1024..<4096 + 16384 + 1536, with: Data(count: 512))
    try torn.write(to: URL(filePath: log))
    #expect(DataDirectory(at: scratch.path).check { _ in } == .tornTail)
    var damaged = sound
    damaged[4096 + 700] ^= 4
    try damaged.write(to: URL(filePath: log))
    #expect(DataDirectory(at: scratch.path).check { _ in } == .damaged)
    var dumped = 0
    #expect(DataDirectory(at: scratch.path).dump { _ in dumped += 1 } == .sound)
    #expect(dumped > 4)
    #expect(DataDirectory(at: scratch.path + "/nowhere").check { _ in } == .refused)
  }
}
