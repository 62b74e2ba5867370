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
    let client = try WireClient(to: node.address)
    while try client.status().role != .leader { usleep(5000) }
    try await body(node)
  } catch {
    await node.stop()
    throw error
  }
  await node.stop()
}
