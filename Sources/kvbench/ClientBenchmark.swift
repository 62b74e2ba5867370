import RoostClientCore
import RoostWire

/// The client machine alone against a peer that answers everything: what one call costs, by how many are under way.
struct ClientBenchmark {
  private let calls: Int
  private var machine: ClientMachine
  private var effects = ClientEffects()
  private var link = LinkID(0)
  private var time: UInt64 = 1_000_000_000
  private var correlations: [UInt64] = []
  private var answered = 0
  private var spent: UInt64 = 0
  private let value = [UInt8](repeating: 7, count: 256)

  private init(calls: Int, identity: ClientSettings.Identity) {
    self.calls = calls
    var settings = ClientSettings()
    settings.identity = identity
    machine = ClientMachine(endpoints: ["peer"], settings: settings, random: SplitMix64(seed: 1))
  }

  /// Measures puts under both kinds of identity, and queries.
  static func run() {
    let table = Table(["in flight", "one-shot ns", "session ns", "query ns"])
    for inFlight in [1, 64, 512, 4096] {
      let count = inFlight == 1 ? 100_000 : 400_000
      let cells = [
        cost(inFlight, count, .oneShot, isQuery: false),
        cost(inFlight, count, .session(ttl: .seconds(3600)), isQuery: false),
        cost(inFlight, count, .oneShot, isQuery: true),
      ]
      table.row(["\(inFlight)"] + cells.map { "\($0)" })
    }
  }

  private static func cost(
    _ inFlight: Int,
    _ count: Int,
    _ identity: ClientSettings.Identity,
    isQuery: Bool
  ) -> UInt64 {
    var benchmark = ClientBenchmark(calls: count, identity: identity)
    benchmark.drive(inFlight, isQuery: isQuery)
    return benchmark.spent / UInt64(max(benchmark.answered, 1))
  }

  /// Keeps so many calls under way; the peer's own work is not counted.
  private mutating func drive(_ inFlight: Int, isQuery: Bool) {
    var missing = inFlight
    // Enough for the slowest machine: a run that takes longer is cut, and still says what a call cost.
    while answered < calls, spent < 5_000_000_000 {
      time += 1_000_000
      let before = answered
      var watch = Stopwatch()
      for number in 0..<missing { call(number, isQuery: isQuery) }
      spent += watch.nanoseconds
      let (link, replies) = answer()
      watch = Stopwatch()
      if !replies.isEmpty {
        machine.didReceive(replies.span, on: link, now: Instant(nanoseconds: time), into: &effects)
      }
      if machine.nextDeadline <= Instant(nanoseconds: time) {
        machine.tick(now: Instant(nanoseconds: time), into: &effects)
      }
      spent += watch.nanoseconds
      answered += effects.results.count
      effects.results.removeAll(keepingCapacity: true)
      missing = answered - before
    }
  }

  private mutating func call(_ number: Int, isQuery: Bool) {
    var key = [UInt8](repeating: 107, count: 16)
    key[0] = UInt8(truncatingIfNeeded: number)
    key[1] = UInt8(truncatingIfNeeded: number >> 8)
    let kind: CallKind =
      isQuery
      ? .query(.linearizable, .get(Get(key: key)))
      : .command(.operation(.put(Put(key: key, value: value))))
    let now = Instant(nanoseconds: time)
    _ = machine.call(kind, deadline: now.advanced(by: .seconds(5)), now: now, into: &effects)
  }

  /// The bytes that the peer sends back for what has been sent to it.
  private mutating func answer() -> (LinkID, [UInt8]) {
    let now = Instant(nanoseconds: time)
    var replies: [UInt8] = []
    if let connect = effects.connects.last {
      link = connect.link
      machine.didConnect(link, now: now, into: &effects)
      HelloReply(
        verdict: .accepted,
        cluster: ClusterID(1),
        node: NodeID(1),
        leader: NodeID(1),
        clusterTime: .zero
      ).encode(into: &replies)
    }
    effects.connects.removeAll()
    for send in effects.sends where send.bytes.count != Hello.byteCount {
      var input = send.bytes.span
      while let header = try? FrameHeader.next(in: &input, bodyLimit: FrameHeader.bodyLimit) {
        let body = input.extracting(first: header.bodyByteCount)
        input = input.extracting(droppingFirst: header.bodyByteCount)
        let reply = Self.reply(header.kind, body)
        replies.appendFrame(.reply, correlation: header.correlation) { reply.encode(into: &$0) }
      }
    }
    effects.sends.removeAll(keepingCapacity: true)
    return (link, replies)
  }

  private static func reply(_ kind: FrameKind, _ body: borrowing Span<UInt8>) -> Reply {
    guard kind == .request else { return .value(revision: Revision(1), nil) }
    // Identities have 24 bytes under a session and 32 without; the command's kind follows.
    let isOneShot = (0..<8).allSatisfy { body[$0] == 0 }
    switch body[isOneShot ? 32 : 24] {
    case 16:
      return .sessionOpened(SessionOpened(session: SessionID(9), ttl: 3_600_000, time: .zero))
    case 17: return .done
    default: return .written(Written(revision: Revision(1), version: 1))
    }
  }
}
