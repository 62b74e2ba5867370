import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// A snapshot that comes in part by part, with restarts in between: what had arrived stays, and is never taken for more.
@Suite struct PartialSnapshotTests {
  static let settings = {
    var settings = JournalSettings.tiny
    settings.snapshotChunkByteCount = 1000
    return settings
  }()

  static let content = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 * $0 >> 4) }

  /// A journal with entries and a snapshot of all of them, of some fifty chunks.
  static func sender(_ index: UInt64 = 50) throws -> JournalBench {
    let sender = try JournalBench(settings: settings)
    sender.append([Int](repeating: 20, count: Int(index)))
    sender.finish()
    sender.journal.saveSnapshot(SnapshotTests.label(index), from: SnapshotTests.Pieces([content]))
    sender.finish()
    return sender
  }

  static func descriptor(_ sender: JournalBench) throws -> SnapshotDescriptor {
    try #require(sender.journal.newestSnapshot).descriptor
  }

  /// Hands on what lies in a range, in portions that are no chunks.
  static func send(
    _ range: Range<UInt64>,
    from sender: JournalBench,
    to receiver: Journal
  ) throws {
    let descriptor = try descriptor(sender)
    var offset = range.lowerBound
    while offset < range.upperBound {
      let count = Int(min(range.upperBound - offset, 3700))
      let bytes = sender.journal.snapshotBytes(of: descriptor, at: offset, byteCount: count)
      try receiver.receive(try #require(bytes), at: offset, of: descriptor)
      offset += UInt64(count)
    }
  }

  /// Sends what is missing, and says what came of it.
  static func complete(
    _ receiver: JournalBench,
    from sender: JournalBench,
    at start: UInt64
  ) throws {
    let whole = try descriptor(sender).byteCount
    try send(start..<whole, from: sender, to: receiver.journal)
    receiver.finish()
    #expect(receiver.journal.newestSnapshot?.descriptor == (try descriptor(sender)))
    #expect(try SnapshotTests.read(receiver.journal.readSnapshot()) == content)
    #expect(try partials(on: receiver.disk).isEmpty)
  }

  /// What a part is called.
  static func name(_ numbers: UInt64...) -> String {
    let words = numbers.map { number in
      let digits = String(number, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }
    return words.joined(separator: "-") + ".partial"
  }

  static func partials(on disk: SimulatedDisk) throws -> [String] {
    try disk.list().filter { $0.hasSuffix(".partial") }
  }

  /// A receiver that has so much, on its disk and in its hands.
  static func receiver(with byteCount: UInt64, of sender: JournalBench) throws -> JournalBench {
    let receiver = try JournalBench(settings: settings)
    receiver.append([5, 5])
    receiver.finish()
    try send(0..<byteCount, from: sender, to: receiver.journal)
    receiver.finish()
    return receiver
  }

  @Test func aPartOfASnapshotIsTakenUpAgainAfterARestart() throws {
    let sender = try Self.sender()
    let receiver = try Self.receiver(with: 30_000, of: sender)
    for last: UInt64 in [30_000, 30_500, 47_000] {
      let start = receiver.journal.receivingByteCount
      try Self.send(start..<last, from: sender, to: receiver.journal)
      receiver.disk.kill()
      try receiver.reopen()
      let incoming = try #require(receiver.recovered.incoming)
      #expect(incoming.snapshot == (try Self.descriptor(sender)))
      // All but a chunk of which a part is missing.
      #expect(incoming.byteCount <= last && incoming.byteCount > last - 1008)
      #expect(receiver.recovered.snapshot == nil && receiver.recovered.findings.isEmpty)
      #expect(receiver.recovered.entries.count == 2)
      #expect(receiver.journal.receivingByteCount == incoming.byteCount)
    }
    try Self.complete(receiver, from: sender, at: receiver.journal.receivingByteCount)
    try receiver.reopen()
    #expect(receiver.recovered.incoming == nil)
    #expect(receiver.recovered.snapshot?.label == SnapshotTests.label(50))
  }

  /// What was synced on the way survives a power cut; it is no more than a few chunks behind.
  @Test func aPowerCutTakesWhatWasNotSyncedOfAPart() throws {
    let sender = try Self.sender()
    let receiver = try Self.receiver(with: 48_100, of: sender)
    receiver.disk.crash { false }
    try receiver.reopen()
    let incoming = try #require(receiver.recovered.incoming)
    #expect(incoming.byteCount + 32 * UInt64(Self.settings.snapshotChunkByteCount) + 4800 > 48_100)
    try Self.complete(receiver, from: sender, at: incoming.byteCount)
  }

  @Test func noCrashWhileASnapshotComesInMakesItMoreThanItIs() throws {
    var random = SplitMix64(seed: 11)
    let sender = try Self.sender()
    let whole = try Self.descriptor(sender).byteCount
    let receiver = try Self.receiver(with: 0, of: sender)
    var crashes = 0
    var parts: Set<UInt64> = []
    while receiver.journal.newestSnapshot == nil {
      let start = receiver.journal.receivingByteCount
      try Self.send(start..<min(whole, start + 3700), from: sender, to: receiver.journal)
      while let job = receiver.disk.pending.randomChoice(&random) {
        receiver.disk.step(job)
        receiver.poll()
        try CrashLawTests.everyCrash(of: receiver.disk, random: &random) { disk in
          crashes += 1
          let again = try JournalBench(settings: Self.settings, disk: disk)
          #expect(again.recovered.findings.isEmpty)
          if let stored = again.recovered.snapshot {
            #expect(stored.descriptor == (try Self.descriptor(sender)))
            #expect(try SnapshotTests.read(again.journal.readSnapshot()) == Self.content)
            return
          }
          let start = again.recovered.incoming?.byteCount ?? 0
          parts.insert(start)
          guard crashes % 10 == 0 else { return }
          try Self.complete(again, from: sender, at: start)
        }
      }
    }
    #expect(crashes > 100 && parts.count > 10, "\(crashes), \(parts)")
  }

  @Test func whatIsDamagedInAPartDoesNotCount() throws {
    let sender = try Self.sender()
    for bit in stride(from: 3, to: 40_000 * 8, by: 7919) {
      let receiver = try Self.receiver(with: 40_000, of: sender)
      let name = try #require(try Self.partials(on: receiver.disk).first)
      try receiver.disk.flipBit(bit, of: name)
      try receiver.reopen()
      let start = receiver.recovered.incoming?.byteCount ?? 0
      #expect(start <= UInt64(bit / 8))
      try Self.complete(receiver, from: sender, at: start)
    }
  }

  @Test func aPartThatDoesNotFitIsRemoved() throws {
    let sender = try Self.sender()
    let stranger = try Self.receiver(with: 20_000, of: sender)
    let name = try #require(try Self.partials(on: stranger.disk).first)
    let bytes = try stranger.disk.read(name, at: 0, byteCount: 20_000)
    let descriptor = try Self.descriptor(sender)
    func named(_ index: UInt64, _ byteCount: UInt64) -> String {
      Self.name(index, byteCount, descriptor.checksum)
    }
    let names = [
      // Older than the snapshot that is there, of another index than is in it, or longer than the whole.
      named(30, descriptor.byteCount), named(51, descriptor.byteCount), named(50, 19_999),
      // No name of one.
      "x.partial", "1-2-3.partial", "-" + name,
    ]
    for name in names {
      let receiver = try Self.sender(40)
      try receiver.disk.tamper(.write(name, offset: 0, bytes: bytes))
      try receiver.reopen()
      #expect(receiver.recovered.incoming == nil, "\(name)")
      #expect(try Self.partials(on: receiver.disk).isEmpty, "\(name)")
      try Self.complete(receiver, from: sender, at: 0)
    }
    // What would follow is of a cluster that is not this one.
    let other = JournalIdentity(cluster: ClusterID(1), node: NodeID(3))
    let disk = SimulatedDisk()
    _ = try Journal.open(on: disk, as: other, settings: Self.settings)
    try disk.tamper(.write(name, offset: 0, bytes: bytes))
    let (_, recovered) = try Journal.open(on: disk, as: other, settings: Self.settings)
    #expect(recovered.incoming == nil)
    #expect(try Self.partials(on: disk).isEmpty)
  }

  @Test func onlyTheNewestPartIsKept() throws {
    let (sender, newer) = (try Self.sender(50), try Self.sender(60))
    let receiver = try Self.receiver(with: 20_000, of: newer)
    let older = try Self.receiver(with: 30_000, of: sender)
    let name = try #require(try Self.partials(on: older.disk).first)
    let bytes = try older.disk.read(name, at: 0, byteCount: 30_000)
    try receiver.disk.tamper(.write(name, offset: 0, bytes: bytes))
    try receiver.reopen()
    #expect(receiver.recovered.incoming?.snapshot == (try Self.descriptor(newer)))
    #expect(try Self.partials(on: receiver.disk).count == 1)
    // The leader offers the older one: nothing of it is here any more.
    try Self.complete(receiver, from: sender, at: 0)
  }

  @Test func anotherSnapshotTakesThePlaceOfAPart() throws {
    let (sender, newer) = (try Self.sender(50), try Self.sender(60))
    let receiver = try Self.receiver(with: 20_000, of: sender)
    try Self.send(0..<10_000, from: newer, to: receiver.journal)
    receiver.finish()
    let descriptor = try Self.descriptor(newer)
    let name = Self.name(60, descriptor.byteCount, descriptor.checksum)
    #expect(try Self.partials(on: receiver.disk) == [name])
    try Self.complete(receiver, from: newer, at: 10_000)
  }

  @Test func ourOwnSnapshotMakesAnOlderPartUseless() throws {
    let sender = try Self.sender(50)
    let receiver = try Self.receiver(with: 20_000, of: sender)
    receiver.append([Int](repeating: 20, count: 60))
    receiver.finish()
    receiver.journal.saveSnapshot(SnapshotTests.label(55), from: SnapshotTests.Pieces([[1, 2, 3]]))
    receiver.finish()
    #expect(try Self.partials(on: receiver.disk).isEmpty)
    #expect(throws: SnapshotRefusal.old) {
      try Self.send(20_000..<21_000, from: sender, to: receiver.journal)
    }
  }

  /// The replica was told that its own snapshot had failed, and asked for another while the first was being written.
  @Test func aSnapshotThatFindsNoSpaceAsItComesInIsNoFailureOfOurOwn() throws {
    let sender = try Self.sender(50)
    let receiver = try Self.receiver(with: 20_000, of: sender)
    receiver.journal.saveSnapshot(SnapshotTests.label(2), from: SnapshotTests.Pieces([[1, 2, 3]]))
    let saving = receiver.disk.pending
    receiver.disk.nextOperationFailure = .noSpace
    try Self.send(20_000..<21_000, from: sender, to: receiver.journal)
    for job in receiver.disk.pending where !saving.contains(job) { receiver.disk.step(job) }
    let report = receiver.journal.poll()
    #expect(report.refusedSnapshot == (try Self.descriptor(sender)))
    #expect(report.refusalReason?.reason == .noSpace)
    #expect(report.snapshotFailure == nil && receiver.journal.isSavingSnapshot)
    receiver.finish()
    #expect(receiver.journal.newestSnapshot?.label == SnapshotTests.label(2))
    try Self.complete(receiver, from: sender, at: 0)
  }

  /// Such writes were counted as the new transfer's, which then waited for its end for ever.
  ///
  /// A full disk had refused one of several that were under way, and the transfer began anew before the others were done.
  @Test func writesOfATransferThatWasGivenUpDoNotEndTheNextOne() throws {
    let sender = try Self.sender(50)
    let receiver = try Self.receiver(with: 0, of: sender)
    receiver.disk.nextOperationFailure = .noSpace
    try Self.send(0..<11_100, from: sender, to: receiver.journal)
    let writes = receiver.disk.pending
    receiver.disk.step(writes[0])
    #expect(receiver.journal.poll().refusedSnapshot == (try Self.descriptor(sender)))
    try Self.send(0..<3700, from: sender, to: receiver.journal)
    while let late = receiver.disk.pending.first(where: { writes.contains($0) }) {
      receiver.disk.step(late)
    }
    receiver.finish()
    try Self.send(3700..<50_000, from: sender, to: receiver.journal)
    receiver.finish()
    try Self.complete(receiver, from: sender, at: 50_000)
  }

  @Test func moreBytesThanTheSnapshotHasAreRefused() throws {
    let sender = try Self.sender()
    let descriptor = try Self.descriptor(sender)
    let receiver = try Self.receiver(with: 20_000, of: sender)
    let tooMuch = [UInt8](repeating: 0, count: Int(descriptor.byteCount) - 19_999)
    #expect(throws: SnapshotRefusal.invalid(.trailing(byteCount: tooMuch.count))) {
      try receiver.journal.receive(tooMuch, at: 20_000, of: descriptor)
    }
    receiver.finish()
    #expect(try Self.partials(on: receiver.disk).isEmpty)
  }
}
