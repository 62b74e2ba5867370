import Foundation
import RoostWire
import Testing

/// The examples of Docs/PROTOCOL.md are what this code writes, byte for byte.
@Suite struct ProtocolPageTests {
  /// The bytes of the example that a line `<!-- example NAME -->` announces.
  private static func example(_ name: String) throws -> [UInt8] {
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(
      contentsOf: root.appendingPathComponent("Docs/PROTOCOL.md"),
      encoding: .utf8
    )
    let parts = page.components(separatedBy: "<!-- example \(name) -->\n```\n")
    let body = try #require(parts.count == 2 ? parts[1] : nil, "the page has the example \(name)")
    let hex = body.prefix(while: { $0 != "`" })
    return hex.split(whereSeparator: \.isWhitespace).compactMap { UInt8($0, radix: 16) }
  }

  private static func frame(
    _ kind: FrameKind,
    _ correlation: UInt64,
    _ body: [UInt8]
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.appendFrame(kind, correlation: correlation) { $0 += body }
    return bytes
  }

  private static let put = Request(
    .oneShot(
      OneShotID(high: 0x0102_0304_0506_0708, low: 0x1112_1314_1516_1718),
      expiry: ClusterTime(60_000_000_000)
    ),
    .operation(.put(Put(key: Array("greeting".utf8), value: Array("hello".utf8))))
  )

  private static var written: [UInt8] {
    Reply.written(Written(revision: Revision(7), version: 1)).encoded()
  }

  private static let helloReply = HelloReply(
    verdict: .accepted,
    cluster: ClusterID(0x00C1_0000_0000_0001),
    node: NodeID(2),
    leader: NodeID(1),
    clusterTime: ClusterTime(15_000_000_000)
  )

  private static var query: [UInt8] {
    var body = [ReadLevel.linearizable.rawValue]
    Query.get(Get(key: Array("greeting".utf8))).encode(into: &body)
    return body
  }

  private static var boundedQuery: [UInt8] {
    var body = [ReadLevel.bounded.rawValue]
    ReadBound(revision: Revision(7), age: 2_000_000_000).encode(into: &body)
    Query.get(Get(key: Array("greeting".utf8))).encode(into: &body)
    return body
  }

  private static let watch = WatchRequest(
    watch: 1,
    range: KeyRange(from: [97], to: [98]),
    start: Revision(8)
  )

  private static let watchEvent = Event.watch(
    WatchEvent(
      watches: [1, 4],
      revision: Revision(9),
      changes: [
        WatchEvent.Change(
          isRemoval: false,
          entry: KeyValue(
            key: [97],
            value: [120],
            revisions: (Revision(9), Revision(9)),
            version: 1
          )
        )
      ]
    )
  )

  private static let replacement = AdminRequest.change(
    MembershipChange([
      MemberWish(NodeID(1), .gone),
      MemberWish(
        NodeID(4),
        .voter,
        incarnation: 0x0807_0605_0403_0201,
        address: Array("127.0.0.1:7404".utf8)
      ),
    ])
  )

  private static var pushed: [String: [UInt8]] {
    let session: UInt64 = 0x0200_0002
    let granted = Event.lockResolved(SequenceNumber(9), .lock(.granted(token: 41)))
    return [
      "watch request": frame(.watch, 5, watch.encoded()),
      "watch reply": frame(.reply, 5, Reply.watching(from: Revision(8)).encoded()),
      "watch event frame": frame(.event, 0, watchEvent.encoded()),
      "cancel watch": frame(.cancelWatch, 8, [1, 0, 0, 0, 0, 0, 0, 0]),
      "lock event frame": frame(.event, session, granted.encoded()),
      "admin change": frame(.admin, 6, replacement.encoded()),
      "admin transfer": frame(.admin, 7, AdminRequest.transferLeadership(NodeID(2)).encoded()),
    ]
  }

  private static var examples: [String: [UInt8]] {
    answered.merging(pushed) { first, _ in first }
  }

  private static var answered: [String: [UInt8]] {
    [
      "client hello": Hello(role: .client, cluster: .zero).encoded(),
      "hello reply": helloReply.encoded(),
      "put request": frame(.request, 1, put.encoded()),
      "put reply": frame(.reply, 1, written),
      "get query": frame(.query, 2, query),
      "bounded query": frame(.query, 3, boundedQuery),
      "observation": frame(
        .reply,
        3,
        Reply.observed(age: 40_000_000, .value(revision: Revision(9), nil)).encoded()
      ),
      "status": frame(.status, 3, []),
      "no leader": frame(.reply, 4, Failure(.noQuorum, detail: 1_500_000_000).encoded()),
    ]
  }

  @Test(arguments: examples.keys.sorted())
  func theExampleIsWhatIsSent(name: String) throws {
    let bytes = try #require(Self.examples[name])
    let onPage = try Self.example(name)
    let hex = bytes.map { String(format: "%02x", $0) }
    let rows = stride(from: 0, to: hex.count, by: 16).map {
      hex[$0..<min($0 + 16, hex.count)].joined(separator: " ")
    }
    #expect(onPage == bytes, "\(name) should read:\n\(rows.joined(separator: "\n"))")
  }
}
