import RoostStateMachine
import RoostWire
import Testing

/// Bytes that no client of ours would send.
@Suite struct HostileBytesTests {
  /// Whatever is in a committed batch, each request gets one reply, the same on every replica.
  @Test(arguments: UInt64(1)...6)
  func anyBytesGetOneReplyEachAndTheSameEverywhere(seed: UInt64) throws {
    var workload = RandomWorkload(seed: seed)
    var random = SplitMix64(seed: seed &+ 99)
    var one = Driver(limits: .tiny)
    var other = Driver(limits: .tiny)
    for _ in 0..<800 {
      var payload: [UInt8] = []
      let requests = workload.batch()
      for request in requests {
        var bytes = request.encoded()
        for _ in 0..<random.below(3) { Self.damage(&bytes, &random) }
        RequestBatch.append(bytes.span, to: &payload)
      }
      one.time = workload.time
      other.time = workload.time
      let replies = try one.apply(payload)
      #expect(replies.count == requests.count)
      #expect(try other.apply(payload) == replies)
      #expect(one.state.stateHash == other.state.stateHash)
      for reply in replies { workload.learn(reply) }
      var query = workload.query().encoded()
      Self.damage(&query, &random)
      var answer: [UInt8] = []
      one.state.read(query.span, into: &answer)
      _ = try Reply(decodingAll: answer)
    }
  }

  private static func damage(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    guard !bytes.isEmpty else { return }
    let place = Int(random.below(UInt64(bytes.count)))
    switch random.below(5) {
    case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
    case 1: bytes[place] = .max
    case 2: bytes.removeSubrange(place...)
    case 3: bytes.insert(0, at: place)
    default:
      // Every number of every request becomes the greatest one day.
      for index in place..<min(place + 8, bytes.count) { bytes[index] = .max }
    }
  }

  @Test(arguments: UInt64(1)...4)
  func framingThatLiesEndsTheBatchWithOneReply(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    for _ in 0..<500 {
      var driver = Driver()
      let payload = (0..<random.below(60)).map { _ in UInt8(truncatingIfNeeded: random.next() >> 3)
      }
      let replies = try driver.apply(payload)
      #expect(
        replies.allSatisfy { reply in
          if case .failure = reply { true } else { false }
        }
      )
    }
  }

  /// A snapshot with any byte changed is refused.
  @Test(arguments: UInt64(1)...4)
  func damagedSnapshotsAreRefused(seed: UInt64) throws {
    var workload = RandomWorkload(seed: seed)
    var driver = Driver()
    for _ in 0..<150 {
      driver.time = workload.time
      for reply in try driver.apply(workload.batch()) { workload.learn(reply) }
    }
    let chunk = driver.state.snapshotChunks().flatMap { $0 }
    var random = SplitMix64(seed: seed)
    for _ in 0..<400 {
      var damaged = chunk
      Self.damage(&damaged, &random)
      guard damaged != chunk else { continue }
      #expect(throws: WireError.self) { try ReplicatedState(chunks: [damaged]) }
    }
  }

  @Test func greatNumbersDoNotOverflow() throws {
    var driver = Driver()
    driver.time = .max - 10
    let identity = RequestIdentity.oneShot(OneShotID(high: 1, low: 1), expiry: ClusterTime(.max))
    let reply = try driver.apply(identity, .openSession(OpenSession(ttl: 1000)))
    #expect(reply == .failure(Failure(.invalidTTL, detail: 1000)))
    for ttl: UInt64 in [0, 99, 366 * 86_400_000 + 1, .max] {
      var fresh = Driver()
      let session = try fresh.openSession()
      let refused = try fresh.apply(at(session, 1), .grantLease(ttl: ttl))
      #expect(refused == .failure(Failure(.invalidTTL, detail: ttl)))
    }
  }
}
