import Foundation
import Glibc
import RoostJournal
import RoostNode
import RoostRaft
import RoostWire
import Testing

/// A directory that goes when the test does.
final class Scratch {
  let path: String

  init(in parent: String = NSTemporaryDirectory()) throws {
    path = parent + "/roost-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

@Suite struct FileDiskTests {
  static let identity = JournalIdentity(cluster: ClusterID(5), node: NodeID(1))
  static let settings = JournalSettings(
    segmentByteCount: 1 << 20,
    inFlightLimit: 4,
    groupByteLimit: 1 << 16,
    payloadLimit: 1 << 16
  )

  static func entry(_ index: UInt64, byteCount: Int) -> Entry {
    Entry(
      term: Term(1),
      index: LogIndex(index),
      time: ClusterTime(index),
      kind: .requests,
      payload: [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: byteCount)
    )
  }

  /// Waits until the disk has something to tell.
  static func wait(for disk: FileDisk, atMost milliseconds: Int32 = 10_000) {
    var place = pollfd(fd: disk.notificationDescriptor, events: Int16(POLLIN), revents: 0)
    // SAFETY: one place is given and counted.
    _ = unsafe poll(&place, 1, milliseconds)
    disk.clearNotification()
  }

  /// ramfs writes nothing past the page cache, so io_uring as the log uses it is refused there.
  @Test func whereTheRingIsRefusedAThreadWrites() throws {
    let scratch = try Scratch()
    // SAFETY: the strings live until the call has returned.
    guard unsafe mount("ramfs", scratch.path, "ramfs", 0, nil) == 0 else {
      print("not permitted to mount here")
      return
    }
    // SAFETY: as above.
    defer { _ = unsafe umount2(scratch.path, Int32(MNT_DETACH)) }
    let disk = try FileDisk(at: scratch.path)
    guard case .thread(let reason) = disk.backEnd else {
      Issue.record("\(disk.backEnd) on a file system that refuses it")
      return
    }
    #expect(!reason.isEmpty && disk.writesAtOnce == 1)
    let (journal, _) = try Journal.open(
      on: disk,
      as: Self.identity,
      incarnation: Incarnation(9),
      settings: Self.settings
    )
    journal.append(
      ticket: 1,
      hardState: HardState(term: Term(1), vote: NodeID(1)),
      entries: [Self.entry(1, byteCount: 100)]
    )
    var durable: UInt64 = 0
    for _ in 0..<10 where durable == 0 {
      Self.wait(for: disk)
      durable = journal.poll().durable ?? 0
    }
    #expect(durable == 1)
  }

  @Test(arguments: [true, false])
  func whatIsAcknowledgedIsInTheFiles(ring: Bool) throws {
    let scratch = try Scratch()
    let entries = (1...3000).map { Self.entry(UInt64($0), byteCount: $0 % 1500) }
    do {
      let disk = try FileDisk(at: scratch.path, ring: ring)
      if ring, case .thread(let reason) = disk.backEnd { print("no io_uring here: \(reason)") }
      let (journal, _) = try Journal.open(
        on: disk,
        as: Self.identity,
        incarnation: Incarnation(9),
        settings: Self.settings
      )
      for ticket in 1...300 {
        let first = (ticket - 1) * 10
        journal.append(
          ticket: UInt64(ticket),
          hardState: HardState(term: Term(1), vote: NodeID(UInt64(ticket))),
          entries: Array(entries[first..<first + 10])
        )
      }
      var durable: UInt64 = 0
      while durable < 300 {
        Self.wait(for: disk)
        let report = journal.poll()
        try #require(report.failure == nil)
        durable = max(durable, report.durable ?? 0)
      }
    }
    let disk = try FileDisk(at: scratch.path, ring: ring)
    let (_, recovered) = try Journal.open(
      on: disk,
      as: Self.identity,
      incarnation: Incarnation(8),
      settings: Self.settings
    )
    #expect(recovered.entries == entries)
    #expect(recovered.hardState == HardState(term: Term(1), vote: NodeID(300)))
    #expect(recovered.incarnation == Incarnation(9))
    #expect(recovered.findings.isEmpty)
  }

  @Test func aSecondProcessIsRefused() throws {
    let scratch = try Scratch()
    let disk = try FileDisk(at: scratch.path)
    let error = #expect(throws: DiskError.self) { try FileDisk(at: scratch.path) }
    #expect(error?.reason == .locked)
    withExtendedLifetime(disk) {}
  }

  @Test func aReadOnlyFileSystemIsRefusedWithTheSentenceThatHelps() throws {
    let scratch = try Scratch()
    // SAFETY: the strings live until the call has returned.
    guard unsafe mount("tmpfs", scratch.path, "tmpfs", 0, nil) == 0 else {
      print("not permitted to mount here")
      return
    }
    // SAFETY: as above.
    defer { _ = unsafe umount2(scratch.path, Int32(MNT_DETACH)) }
    do {
      let disk = try FileDisk(at: scratch.path)
      _ = try Journal.open(on: disk, as: Self.identity, settings: Self.settings)
    }
    // SAFETY: as above. Mounted again (32), read-only (1).
    let remounted = unsafe mount("tmpfs", scratch.path, "tmpfs", 33, nil)
    try #require(remounted == 0)
    let error = #expect(throws: DiskError.self) { try FileDisk(at: scratch.path) }
    #expect(error?.reason == .readOnly)
    #expect(error.map { "\($0)" }?.contains("mount it for writing") == true)
  }

  @Test func aDirectoryThatCannotBeMadeIsSaidSo() throws {
    let error = #expect(throws: DiskError.self) { try FileDisk(at: "/proc/nowhere/data") }
    #expect(error?.reason == .missing)
  }
}
