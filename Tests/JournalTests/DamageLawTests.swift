import Foundation
import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// What a disk has changed after it was written is never believed: it does not matter, or it is reported and
/// what was promised is still known, or the node says that it must be replaced.
@Suite struct DamageLawTests {
  static let log1 = "0000000000000001.log"

  /// Two and a half segments, a snapshot, a vote, all acknowledged.
  static func journal(_ settings: JournalSettings = .tiny) throws -> JournalBench {
    let bench = try JournalBench(settings: settings)
    for round in 0..<9 {
      bench.append([40, 700], hardState: HardState(term: Term(UInt64(round) / 4 + 1)))
      bench.append([3, 900])
      bench.finish()
    }
    bench.append([], hardState: HardState(term: Term(5), vote: NodeID(2)))
    bench.finish()
    bench.journal.saveSnapshot(SnapshotTests.label(6), from: SnapshotTests.Pieces([[7, 7]]))
    bench.finish()
    bench.append([10])
    bench.finish()
    return bench
  }

  /// The same with small entries in groups of their own, so that full segments are packed.
  static func packedJournal(_ settings: JournalSettings = .tiny) throws -> JournalBench {
    let bench = try JournalBench(settings: settings)
    for round in 0..<36 {
      bench.append([30], hardState: HardState(term: Term(UInt64(round) / 16 + 1)))
      bench.finish()
    }
    bench.append([], hardState: HardState(term: Term(5), vote: NodeID(2)))
    bench.finish()
    return bench
  }

  /// Both kinds of journals, by name.
  enum Kind: CaseIterable {
    case plain
    case packed

    func journal() throws -> JournalBench {
      switch self {
      case .plain: try DamageLawTests.journal()
      case .packed: try DamageLawTests.packedJournal()
      }
    }
  }

  /// Opens a damaged copy; says what would break a promise.
  static func objection(
    to disk: SimulatedDisk,
    _ bench: JournalBench,
    settings: JournalSettings? = nil,
    mayRefuse: Bool = true
  ) -> String? {
    do throws(JournalError) {
      let (_, recovered) = try Journal.open(
        on: disk,
        as: JournalBench.identity,
        settings: settings ?? bench.settings
      )
      return objection(to: recovered, bench)
    } catch {
      // Refused with a sentence: nothing was believed.
      return mayRefuse ? nil : "\(error)"
    }
  }

  static func objection(to recovered: Recovered, _ bench: JournalBench) -> String? {
    let truth = bench.latest
    let base = Int(recovered.base.index.rawValue)
    guard base == 0 || base == 6 else { return "the log starts after \(base)" }
    guard truth.entries[base...].starts(with: recovered.entries) else {
      return "entries that nobody wrote"
    }
    guard recovered.hardState == truth.hardState else { return "forgot \(truth.hardState)" }
    let last = recovered.entries.last?.position ?? recovered.base
    guard last == truth.last else {
      guard recovered.promised == truth.last else { return "forgot that it had \(truth.last)" }
      let isReported = recovered.findings.contains {
        if case .damage = $0 { true } else { false }
      }
      return isReported ? nil : "lost entries without a word"
    }
    return recovered.promised == nil ? nil : "promises what it has"
  }

  /// One bit costs a node entries at most, which its peers send again; it never has to be replaced.
  ///
  /// Every bit of every cell's first bytes, and one bit of every 8 bytes everywhere else; with
  /// `ROOST_EVERY_BIT=1` really every bit.
  @Test(arguments: Kind.allCases)
  func noFlippedBitIsBelieved(kind: Kind) throws {
    let bench = try kind.journal()
    let everyBit = ProcessInfo.processInfo.environment["ROOST_EVERY_BIT"] != nil
    var random = SplitMix64(seed: 3)
    var flips = 0
    for name in try bench.disk.list() {
      let byteCount = try bench.disk.byteCount(of: name)
      for byte in 0..<byteCount {
        let isHead = byte % 512 < 10 && byte < 8192
        guard everyBit || isHead || byte % 29 == 0 else { continue }
        for bit in everyBit ? 0..<8 : (Int(random.below(8))..<8).prefix(isHead ? 2 : 1) {
          let disk = bench.disk.copy()
          try disk.flipBit(byte * 8 + bit, of: name)
          flips += 1
          if let objection = Self.objection(to: disk, bench, mayRefuse: false) {
            Issue.record("\(name) byte \(byte) bit \(bit): \(objection)")
          }
        }
      }
    }
    #expect(flips > 1000, "\(flips)")
  }

  @Test(arguments: [[UInt8](), [0xFF], [0x5A, 0]], Kind.allCases)
  func noOverwrittenOrLostSectorIsBelieved(pattern: [UInt8], kind: Kind) throws {
    let bench = try kind.journal()
    for name in try bench.disk.list() {
      for start in stride(from: 0, to: try bench.disk.byteCount(of: name), by: 512) {
        let disk = bench.disk.copy()
        var position = 0
        try disk.damage(name, start..<start + 512) { old in
          defer { position += 1 }
          return pattern.isEmpty ? 0 : pattern[position % pattern.count]
        }
        // The last group's own sectors, if lost as if never written, can't be missed.
        let isAtTheEnd = pattern.isEmpty && Self.endsWith(disk.copy(), bench)
        if !isAtTheEnd, let objection = Self.objection(to: disk, bench) {
          Issue.record("\(name) byte \(start): \(objection)")
        }
      }
    }
  }

  /// Whether the sector belongs to the newest group, behind which nothing tells of it.
  static func endsWith(
    _ disk: SimulatedDisk,
    _ bench: JournalBench
  ) -> Bool {
    guard
      let (_, recovered) = try? Journal.open(
        on: disk,
        as: JournalBench.identity,
        settings: bench.settings
      )
    else { return false }
    let lost =
      bench.latest.entries.count
      - Int(recovered.base.index.rawValue) - recovered.entries.count
    return lost <= 1
      && recovered.findings.contains {
        if case .tornTail = $0 { true } else { false }
      }
  }

  @Test(arguments: Kind.allCases)
  func sectorsOfAnotherPlaceAreNotBelieved(kind: Kind) throws {
    let bench = try kind.journal()
    let names = try bench.disk.list().filter { $0.hasSuffix(".log") }
    var random = SplitMix64(seed: 5)
    for _ in 0..<300 {
      let disk = bench.disk.copy()
      let from = (names.randomChoice(&random) ?? "", Int(random.below(32)) * 512)
      let to = (names.randomChoice(&random) ?? "", Int(random.below(32)) * 512)
      let bytes = try disk.read(from.0, at: from.1, byteCount: 512)
      let old = try disk.read(to.0, at: to.1, byteCount: 512)
      guard bytes != old, bytes.contains(where: { $0 != 0 }) else { continue }
      var position = 0
      try disk.damage(to.0, to.1..<to.1 + 512) { _ in
        defer { position += 1 }
        return bytes[position % 512]
      }
      if let objection = Self.objection(to: disk, bench) {
        Issue.record("\(from) in place of \(to): \(objection)")
      }
    }
  }

  @Test(arguments: Kind.allCases)
  func anyMissingFileIsNoticed(kind: Kind) throws {
    let bench = try kind.journal()
    for name in try bench.disk.list() {
      let disk = bench.disk.copy()
      try disk.tamper(.remove(name))
      if let objection = Self.objection(to: disk, bench) {
        Issue.record("without \(name): \(objection)")
      }
    }
  }

  @Test(arguments: Kind.allCases)
  func aFileThatEndsEarlyIsNoticed(kind: Kind) throws {
    let bench = try kind.journal()
    for name in try bench.disk.list() {
      for byteCount in [0, 100, 512, 5000, 9000] {
        let disk = bench.disk.copy()
        let bytes = try disk.read(name, at: 0, byteCount: byteCount)
        try disk.tamper(.remove(name))
        try disk.tamper(.write(name, offset: 0, bytes: bytes))
        if let objection = Self.objection(to: disk, bench) {
          Issue.record("\(name) cut at \(byteCount): \(objection)")
        }
      }
    }
  }

  @Test func aCopyUnderAWrongNameIsRefused() throws {
    let bench = try Self.journal()
    let names = try bench.disk.list().filter { $0.hasSuffix(".log") }
    let bytes = try bench.disk.read(names[0], at: 0, byteCount: 16384)
    try bench.disk.tamper(.write("00000000000000ff.log", offset: 0, bytes: bytes))
    #expect(throws: JournalError.self) { try bench.reopen() }
  }

  @Test func anotherNodesDirectoryIsRefused() throws {
    let bench = try Self.journal()
    for stranger in [
      JournalIdentity(cluster: ClusterID(77), node: NodeID(4)),
      JournalIdentity(cluster: ClusterID(78), node: NodeID(3)),
    ] {
      #expect(
        throws: JournalError.foreign(file: "identity", found: JournalBench.identity)
      ) {
        try Journal.open(on: bench.disk, as: stranger, settings: bench.settings)
      }
    }
  }

  @Test func anotherNodesSegmentIsRefused() throws {
    let bench = try Self.journal()
    let other = SimulatedDisk()
    let stranger = JournalIdentity(cluster: ClusterID(77), node: NodeID(4))
    _ = try Journal.open(on: other, as: stranger, settings: .tiny)
    let bytes = try other.read(Self.log1, at: 0, byteCount: 16384)
    let name = try #require(try bench.disk.list().last { $0.hasSuffix(".log") })
    try bench.disk.tamper(.write(name, offset: 0, bytes: bytes))
    #expect(throws: JournalError.foreign(file: name, found: stranger)) { try bench.reopen() }
  }

  @Test func aLogWithoutItsIdentityIsRefused() throws {
    let bench = try Self.journal()
    try bench.disk.tamper(.remove("identity"))
    #expect(throws: JournalError.identityMissing) { try bench.reopen() }
  }

  @Test func aNewerFormatIsRefused() throws {
    let bench = try Self.journal()
    var bytes = try bench.disk.read("identity", at: 0, byteCount: 1000)
    for start in [0, 512] {
      bytes[start + 8] = 2
      let checksum = CRC32C(of: bytes.span.extracting(start..<start + 40)).value
      for index in 0..<4 {
        bytes[start + 40 + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index)))
      }
    }
    try bench.disk.tamper(.write("identity", offset: 0, bytes: bytes))
    #expect(throws: JournalError.newerFormat(found: 2)) { try bench.reopen() }
  }

  @Test func damageBehindWhatCanBeRecognisedMeansReplacement() throws {
    let bench = try JournalBench()
    bench.append([100])
    bench.append([100])
    bench.finish()
    let end = 4096 + 1024
    try bench.disk.damage(Self.log1, end..<end + 1024) { _ in 0xA5 }
    #expect {
      try bench.reopen()
    } throws: { error in
      guard case .mustBeReplaced? = error as? JournalError else { return false }
      return "\(error)".contains("remove it from the cluster")
    }
  }

  @Test func oneFlippedBitInUnwrittenSpaceIsHarmlessAndSaid() throws {
    let bench = try Self.journal()
    let name = try #require(try bench.disk.list().last { $0.hasSuffix(".log") })
    try bench.disk.flipBit(8 * 16_000, of: name)
    try bench.reopen()
    #expect(bench.opened.entries == Array(bench.latest.entries[6...]))
    #expect(bench.recovered.findings.count == 1)
  }
}
