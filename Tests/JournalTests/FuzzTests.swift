import Foundation
import RoostJournal
import RoostRaft
import RoostSimulation
import RoostWire
import Testing

/// Bytes that nobody wrote: decoders and recovery answer, and never trap.
///
/// A few thousand tries here; `ROOST_FUZZ=1000000 swift test --filter FuzzTests` for as many as one likes.
@Suite struct FuzzTests {
  private static var tries: Int {
    ProcessInfo.processInfo.environment["ROOST_FUZZ"].flatMap { Int($0) } ?? 400
  }

  /// Changes bytes in one of the ways that find most: flips, extremes, moved and repeated stretches.
  private static func mutate(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    guard !bytes.isEmpty else { return }
    for _ in 0...random.below(4) {
      let place = Int(random.below(UInt64(bytes.count)))
      switch random.below(5) {
      case 0: bytes[place] ^= 1 << UInt8(random.below(8))
      case 1: bytes[place] = [0, 0xFF, 0x80, 0x7F].randomChoice(&random) ?? 0
      case 2:
        for index in place..<min(bytes.count, place + 8) { bytes[index] = 0xFF }
      case 3:
        let other = Int(random.below(UInt64(bytes.count)))
        let count = min(Int(random.below(600)), bytes.count - max(place, other))
        bytes.replaceSubrange(place..<place + count, with: bytes[other..<other + count])
      default: bytes.removeLast(Int(random.below(UInt64(min(bytes.count, 700)))))
      }
    }
  }

  /// Checksums are made good again, so that what lies behind them is reached.
  private static func reseal(_ bytes: inout [UInt8], segment: UInt64) {
    let identity = JournalBench.identity
    var seed: UInt64 = 0
    for part in [identity.cluster.rawValue, identity.node.rawValue, segment] {
      var mixer = SplitMix64(seed: seed ^ part)
      seed = mixer.next()
    }
    for start in stride(from: 4096, through: bytes.count - 512, by: 512) {
      guard bytes[start..<start + 512].contains(where: { $0 != 0 }) else { continue }
      var mixer = SplitMix64(seed: seed ^ UInt64(start / 512))
      let mask = UInt32(truncatingIfNeeded: mixer.next())
      let checksum = CRC32C(of: bytes.span.extracting(start + 4..<start + 512)).value ^ mask
      for index in 0..<4 {
        bytes[start + index] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(index)))
      }
    }
  }

  @Test(arguments: DamageLawTests.Kind.allCases)
  func aMutatedDirectoryIsAnswered(kind: DamageLawTests.Kind) throws {
    let bench = try kind.journal()
    let names = try bench.disk.list()
    var random = SplitMix64(seed: 11)
    var outcomes: [Bool] = []
    for round in 0..<Self.tries {
      let disk = bench.disk.copy()
      let name = names.randomChoice(&random) ?? ""
      var bytes = try disk.read(name, at: 0, byteCount: 1 << 20)
      Self.mutate(&bytes, &random)
      if round % 2 == 0, let number = UInt64(name.prefix(16), radix: 16), name.hasSuffix(".log") {
        Self.reseal(&bytes, segment: number)
      }
      try disk.tamper(.remove(name))
      try disk.tamper(.write(name, offset: 0, bytes: bytes))
      try? JournalInspection(of: disk).dump { _ in }
      let opened = try? Journal.open(
        on: disk,
        as: JournalBench.identity,
        settings: bench.settings
      )
      outcomes.append(opened != nil)
    }
    #expect(outcomes.contains(true) && outcomes.contains(false))
  }

  @Test func mutatedRecordsAndSnapshotsAreAnswered() throws {
    let bench = try DamageLawTests.journal()
    let name = try #require(try bench.disk.list().first { $0.hasSuffix(".snapshot") })
    let snapshot = try bench.disk.read(name, at: 0, byteCount: 1 << 20)
    let record = Record.entry(JournalBench.entry(3, byteCount: 40)).encoded()
    var random = SplitMix64(seed: 12)
    for _ in 0..<Self.tries * 10 {
      var bytes = snapshot
      Self.mutate(&bytes, &random)
      var decoder = SnapshotDecoder(of: JournalBench.identity.cluster)
      _ = try? decoder.take(bytes)
      #expect(!decoder.isComplete || bytes == snapshot)
      bytes = record
      Self.mutate(&bytes, &random)
      _ = try? Record(decodingAll: bytes)
    }
  }

  /// Whatever a part of a snapshot has become, and whatever it is called: the node starts, and gets the snapshot.
  @Test func aMutatedPartOfASnapshotStopsNobody() throws {
    let sender = try PartialSnapshotTests.sender()
    let whole = try PartialSnapshotTests.receiver(with: 45_000, of: sender)
    let name = try #require(try PartialSnapshotTests.partials(on: whole.disk).first)
    let part = try whole.disk.read(name, at: 0, byteCount: 45_000)
    var random = SplitMix64(seed: 13)
    var resumed = 0
    for round in 0..<Self.tries {
      let disk = whole.disk.copy()
      var (bytes, label) = (part, Array(name.utf8))
      if round % 8 == 0 { Self.mutate(&label, &random) } else { Self.mutate(&bytes, &random) }
      let words = label.map { UnicodeScalar($0 == 47 || $0 == 0 ? 45 : $0 & 0x7F) }
      let mutated = String(String.UnicodeScalarView(words))
      try disk.tamper(.remove(name))
      try disk.tamper(
        .write(mutated + (round % 16 == 0 ? ".partial" : ""), offset: 0, bytes: bytes)
      )
      try JournalInspection(of: disk).dump { _ in }
      let receiver = try JournalBench(settings: PartialSnapshotTests.settings, disk: disk)
      // By another name it is a part of another snapshot, which nobody sends.
      let incoming = receiver.recovered.incoming
      let fits = incoming?.snapshot == (try PartialSnapshotTests.descriptor(sender))
      let start = fits ? incoming?.byteCount ?? 0 : 0
      if start > 0 { resumed += 1 }
      guard round % 10 == 0 else { continue }
      try PartialSnapshotTests.complete(receiver, from: sender, at: start)
    }
    #expect(resumed > Self.tries / 10, "\(resumed)")
  }
}
