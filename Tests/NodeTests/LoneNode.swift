import Foundation
import RoostNode
import RoostWire
import TestSupport

/// A cluster of one, on a free port and in a folder that goes with it.
func withLoneNode(
  _ change: (inout NodeConfiguration) -> Void = { _ in },
  _ body: (ClusterNode) async throws -> Void
) async throws {
  let folder = "/tmp/roost-\(UUID().uuidString.prefix(8))"
  defer { try? FileManager.default.removeItem(atPath: folder) }
  var configuration = NodeConfiguration(
    id: 1,
    cluster: 0xC1,
    peers: [1: "127.0.0.1:0"],
    dataDirectory: folder
  )
  configuration.mayFound = true
  change(&configuration)
  let node = try await ClusterNode(configuration)
  do {
    try waitUntilItLeads(node)
    try await body(node)
  } catch {
    await node.stop()
    throw error
  }
  await node.stop()
}

/// With a connection of its own, which is gone when the body begins: tests count connections.
private func waitUntilItLeads(_ node: ClusterNode) throws {
  let client = try WireClient(to: node.address)
  let start = ContinuousClock.now
  while try client.status().role != .leader {
    guard ContinuousClock.now - start < .seconds(20) else {
      throw WireClient.Silence(waitedFor: "a leader")
    }
    usleep(5000)
  }
}
