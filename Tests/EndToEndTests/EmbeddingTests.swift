import Foundation
import RoostClient
import RoostNode
import Testing

/// The code of Docs/EMBEDDING.md: it is compiled and run here, and the page has it word for word.
@Suite struct EmbeddingTests {
  // example: a node
  static func startNode(in folder: String) async throws -> ClusterNode {
    var configuration = NodeConfiguration(
      id: 1,
      cluster: 0xC1,
      peers: [1: "127.0.0.1:0"],
      dataDirectory: folder
    )
    // The very first start of a cluster's members makes their logs; later ones find them.
    configuration.mayFound = true
    return try await ClusterNode(configuration)
  }
  // end

  // example: keys
  static func useKeys(_ endpoints: [String]) async throws -> UInt64 {
    try await Cluster.with(ClientConfiguration(endpoints: endpoints)) { cluster in
      let key = Array("greeting".utf8)
      let revision = try await cluster.put(key, Array("hello".utf8))
      let found = try await cluster.get(key)
      print(String(decoding: found?.value ?? [], as: UTF8.self))
      // Only if nobody has changed it meanwhile.
      let options = PutOptions(if: .modified(revision), life: .time(.seconds(60)))
      return try await cluster.put(key, Array("bye".utf8), options).revision
    }
  }
  // end

  // example: a transaction
  static func move(_ a: [UInt8], to b: [UInt8], on cluster: Cluster) async throws -> Bool {
    guard let found = try await cluster.get(a) else { return false }
    var move = TransactionRequest()
    move.require(.modified(a, .equal, found.modified))
    move.require(.absent(b))
    move.put(b, found.value)
    move.delete(a)
    return try await cluster.perform(move).succeeded
  }
  // end

  // example: a lock
  static func report(on cluster: Cluster) async throws {
    try await cluster.withLock(.exclusive("nightly-report"), waitingAtMost: .seconds(30)) { grant in
      // Cancelled in time if the lock can't be renewed; and what still comes too late is refused.
      let options = PutOptions(guardedBy: grant)
      try await cluster.put(Array("report".utf8), Array("done".utf8), options)
    }
  }
  // end

  // example: a watch
  static func follow(_ cluster: Cluster, until last: [UInt8]) async throws -> Int {
    var count = 0
    for try await change in try await cluster.watch(.prefix(Array("jobs/".utf8))) {
      count += 1
      if change.value == nil { print("removed", change.revision) }
      if change.key == last { break }
    }
    return count
  }
  // end

  // example: a failure
  static func store(_ value: [UInt8], on cluster: Cluster) async -> String {
    do throws(ClientError) {
      return "revision \(try await cluster.put(Array("k".utf8), value))"
    } catch {
      guard error.mayHaveHappened else { return "nothing happened: \(error)" }
      guard case .timedOut(let attempt) = error, let request = attempt.request else {
        return "nobody knows: \(error)"
      }
      // The cluster can say what became of it, and sees to it that nothing more can.
      let outcome = try? await cluster.outcome(of: request)
      return "it was \(outcome.map { "\($0)" } ?? "not to be found out")"
    }
  }
  // end

  @Test(.timeLimit(.minutes(5)))
  func theExamplesRun() async throws {
    let folder = "/tmp/roost-\(UUID().uuidString.prefix(8))"
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let node = try await Self.startNode(in: folder)
    let revision = try await Self.useKeys([node.address])
    #expect(revision == 2)
    let cluster = try Cluster(ClientConfiguration(endpoints: [node.address]))
    let wasMoved = try await Self.move(Array("greeting".utf8), to: Array("b".utf8), on: cluster)
    let isGone = try await Self.move(Array("greeting".utf8), to: Array("c".utf8), on: cluster)
    #expect(wasMoved && !isGone)
    try await Self.report(on: cluster)
    async let count = Self.follow(cluster, until: Array("jobs/last".utf8))
    // The watch tells what changes after it was begun, so the writer goes on until it has been seen.
    let writer = Task {
      while !Task.isCancelled {
        try await cluster.put(Array("jobs/last".utf8), [1])
        try await Task.sleep(for: .milliseconds(20))
      }
    }
    let seen = try await count
    writer.cancel()
    #expect(seen == 1)
    let said = await Self.store([1], on: cluster)
    #expect(said.hasPrefix("revision "))
    await cluster.close()
    await node.stop()
  }

  @Test func thePageHasTheseExamples() throws {
    let own = try String(contentsOfFile: #filePath, encoding: .utf8)
    let root = URL(fileURLWithPath: #filePath)
      .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    let page = try String(
      contentsOf: root.appendingPathComponent("Docs/EMBEDDING.md"),
      encoding: .utf8
    )
    let examples = own.components(separatedBy: "  // example: ").compactMap { piece -> String? in
      let halves = piece.components(separatedBy: "  // end\n")
      guard halves.count > 1 else { return nil }
      return halves[0].split(separator: "\n", omittingEmptySubsequences: false).dropFirst()
        .map { $0.hasPrefix("  ") ? String($0.dropFirst(2)) : String($0) }
        .joined(separator: "\n")
        .replacingOccurrences(of: "static func", with: "func")
    }
    #expect(examples.count == 6)
    for example in examples {
      #expect(page.contains("```swift\n" + example + "```"), "the page lacks:\n\(example)")
    }
  }
}
